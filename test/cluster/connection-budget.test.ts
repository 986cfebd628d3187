import { expect, test } from 'vitest';
import { connectionBudget } from '../../src/cluster/index.ts';
import { freshDatabases } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';

test('counts what the server itself says it takes', async () => {
  const embedded = await ownServers({
    settings: { max_connections: 50, superuser_reserved_connections: 4, reserved_connections: 6, max_wal_senders: 4 },
  });
  const tight = embedded.servers[0]!.connection;
  const [a] = await freshDatabases();
  // Of 50 sessions 40 are for programs; each process may open its pool and one session that listens.
  const three = await connectionBudget({ tight }, { processes: 3, poolMax: 10 });
  expect(three).toEqual([
    { server: 'tight', maxConnections: 50, reserved: 10, needed: 33, fits: true, maxProcesses: 3 },
  ]);
  const both = await connectionBudget({ tight, a: a.connection }, { processes: 4, poolMax: 10 });
  expect(both).toMatchObject([
    { server: 'tight', needed: 44, fits: false, maxProcesses: 3 },
    { server: 'a', needed: 44, fits: true, maxConnections: 400, maxProcesses: Math.floor(397 / 11) },
  ]);
  expect(await connectionBudget({ tight }, { processes: 40, poolMax: 0 })).toMatchObject([{ needed: 40, fits: true }]);
});
