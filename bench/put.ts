// How fast are entities written by 256 callers over 16 shards, each acknowledged only when it is on disk?
import { Datastore } from 'pg-hypervault';
import postgres from 'postgres';
import { turning } from './support/fill.ts';
import { encodeHstore } from './support/hstore-text.ts';
import { figures, load, type Seen, takeTurns } from './support/load.ts';
import { endPools, makePools } from './support/pg-pools.ts';
import { findPgbench, pgbench } from './support/pgbench.ts';
import type { Result } from './support/result.ts';
import { type BenchServers, POOL_MAX, SHARDS, schemaOf, withServers } from './support/servers.ts';

type Put = (shardId: number) => Promise<unknown>;

const CALLERS = 256;

const BODY = {
  name: 'Person number 1',
  email: 'person1@example.com',
  city: 'Reykjavík',
  country: 'IS',
  phone: '+354 555 0001',
  street: 'Laugavegur 1',
  note: null,
  token: 'c4ca4238a0b923820dcc509a6f75849b',
  score: '7',
  active: 'true',
};

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    const rivals: Record<string, { put: Put; close(): Promise<unknown> }> = {
      ours: ours(servers),
      'postgres.js': postgresJs(servers),
      pg: pgPool(servers),
    };
    const nextShard = turning(SHARDS);
    const runs: Record<string, (turn: { durationMs: number }) => Promise<Seen>> = Object.fromEntries(
      Object.entries(rivals).map(([name, { put }]) => [
        name,
        ({ durationMs }) => load(() => put(nextShard()), { callers: CALLERS, durationMs }),
      ]),
    );
    const program = findPgbench();
    if (program !== undefined) {
      const script = (shardId: number): string =>
        `insert into ${schemaOf(shardId)}.entities (type, body) values (1, '${encodeHstore(BODY)}') returning id;\n`;
      runs.pgbench = (turn) => pgbench(program, servers, script, { callers: CALLERS, ...turn });
    }
    const seen = await takeTurns(runs, { durationMs: 1_000 });
    await Promise.all(Object.values(rivals).map(({ close }) => close()));
    return [{ bench: 'put', callers: CALLERS, ...figures(seen) }];
  });

function ours(servers: BenchServers): { put: Put; close(): Promise<unknown> } {
  const db = new Datastore(servers.connections, { poolMax: POOL_MAX });
  return { put: (shardId) => db.put(shardId, 1, BODY), close: () => db.disconnect() };
}

function postgresJs(servers: BenchServers): { put: Put; close(): Promise<unknown> } {
  const pools = servers.connections.map(({ shards: _, user, ...connection }) =>
    postgres({ ...connection, username: user, max: POOL_MAX }),
  );
  return {
    put: (shardId) => {
      const sql = pools[servers.of(shardId)]!;
      const body = encodeHstore(BODY);
      return sql`insert into ${sql.unsafe(schemaOf(shardId))}.entities (type, body) values (1, ${body}) returning id`;
    },
    close: () => Promise.all(pools.map((sql) => sql.end())),
  };
}

function pgPool(servers: BenchServers): { put: Put; close(): Promise<unknown> } {
  const pools = makePools(servers);
  return {
    put: (shardId) => {
      const name = `put${shardId}`;
      const text = `insert into ${schemaOf(shardId)}.entities (type, body) values (1, $1) returning id`;
      return pools[servers.of(shardId)]!.query({ name, text, values: [encodeHstore(BODY)] });
    },
    close: () => endPools(pools),
  };
}
