import { expect, test } from 'vitest';
import { StructureWatch } from '../../src/import/postgres/replication/structure-watch.ts';
import { FollowedTables } from '../../src/import/stream/followed-tables.ts';

test('a source whose structure can not be seen is told of once, until it can be seen again', async () => {
  const warnings: string[] = [];
  let isAway = true;
  const watch = new StructureWatch({
    tables: new FollowedTables(),
    read: async () => {
      if (isAway) throw new Error('no right to look');
      return new Map();
    },
    strangers: async () => [],
    setAside: () => {},
    warn: (message) => void warnings.push(message),
    moveOn: async () => {
      throw new Error('nothing changed');
    },
    hasRead: () => true,
  });
  await watch.look();
  expect(warnings).toEqual([]);
  await watch.look();
  await watch.look();
  expect(warnings).toEqual([expect.stringMatching(/can't be seen: no right to look$/)]);
  isAway = false;
  await watch.look();
  isAway = true;
  await watch.look();
  await watch.look();
  expect(warnings).toHaveLength(2);
});
