// How fast are entities read by key, by few and by many callers at the same time?
import { compareGets } from './support/compare-gets.ts';
import { fillEntities } from './support/fill.ts';
import { decodeHstore } from './support/hstore-text.ts';
import type { Result } from './support/result.ts';
import { withServers } from './support/servers.ts';

const PER_SHARD = 5_000;

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    await fillEntities(servers, PER_SHARD);
    return compareGets('get', servers, {
      perShard: PER_SHARD,
      ours: (db) => (target) => db.get(target.key),
      table: 'entities',
      columns: 'id, type, body, updated',
      decode: (row) => ({ ...row, body: decodeHstore(row.body as string) }),
    });
  });
