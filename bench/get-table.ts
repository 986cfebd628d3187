// The same as `get`, on a table of the user's own.
import { compareGets } from './support/compare-gets.ts';
import { fillPeople } from './support/fill.ts';
import type { Result } from './support/result.ts';
import { withServers } from './support/servers.ts';

const PER_SHARD = 5_000;

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    await fillPeople(servers, PER_SHARD);
    return compareGets('get-table', servers, {
      perShard: PER_SHARD,
      ours: (db) => {
        const people = db.table('people');
        return (target) => people.get(target.key);
      },
      table: 'people',
      columns: 'id, name, email, city, country, phone, street, token, score, active',
      decode: (row) => row,
    });
  });
