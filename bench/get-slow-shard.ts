// What do readers of fifteen shards see when the sixteenth takes 100 ms for every statement? Sixteen callers on each shard;
// p99 before, and from one second after the onset.
import { Datastore } from 'pg-hypervault';
import { fillEntities, type Target, targets, turning } from './support/fill.ts';
import { pgPool, postgresJs } from './support/get-rivals.ts';
import { decodeHstore } from './support/hstore-text.ts';
import { load, type Seen } from './support/load.ts';
import { type Result, rounded } from './support/result.ts';
import type { GetRival, Reading } from './support/rival.ts';
import { type BenchServers, POOL_MAX, SHARDS, schemaOf, withServers } from './support/servers.ts';

const PER_SHARD = 2_000;
const CALLERS_PER_SHARD = 16;
const SLOW = 3;

const READING: Reading = {
  table: 'entities',
  columns: 'id, type, body, updated',
  decode: (row) => ({ ...row, body: decodeHstore(row.body as string) }),
};

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    await fillEntities(servers, PER_SHARD);
    const db = new Datastore(servers.connections, { poolMax: POOL_MAX });
    const rivals: Record<string, GetRival> = {
      ours: { get: ({ key }) => db.get(key), close: () => db.disconnect() },
      'postgres.js': postgresJs(servers, READING),
      pg: pgPool(servers, READING),
    };
    const seen = new Map<string, { before: Seen; after: Seen }>();
    for (const [name, rival] of Object.entries(rivals)) {
      seen.set(name, await beforeAndAfter(servers, rival));
      await rival.close();
    }
    const each = (figure: (one: { before: Seen; after: Seen }) => number): Record<string, number> =>
      Object.fromEntries([...seen].map(([name, one]) => [name, rounded(figure(one))]));
    const { ours, ...theirs } = each(({ before, after }) => after.p99Ms / before.p99Ms);
    return [
      {
        bench: 'get-slow-shard',
        unit: 'times p99 of the other shards, after against before',
        ours: ours!,
        rivals: theirs,
        callers: CALLERS_PER_SHARD * SHARDS.length,
        p99BeforeMs: each(({ before }) => before.p99Ms),
        p99AfterMs: each(({ after }) => after.p99Ms),
        perSecondBefore: each(({ before }) => before.perSecond),
        perSecondAfter: each(({ after }) => after.perSecond),
      },
    ];
  });

async function beforeAndAfter(servers: BenchServers, { get }: GetRival): Promise<{ before: Seen; after: Seen }> {
  const others = onShards(SHARDS.filter((shardId) => shardId !== SLOW));
  const slow = onShards([SLOW]);
  const both = async (durationMs: number): Promise<Seen> => {
    const [seen] = await Promise.all([
      load(() => get(others()), { callers: CALLERS_PER_SHARD * (SHARDS.length - 1), durationMs }),
      load(() => get(slow()), { callers: CALLERS_PER_SHARD, durationMs }),
    ]);
    return seen;
  };
  await both(500);
  const before = await both(2_000);
  await slowDown(servers);
  await both(1_000);
  const after = await both(2_000);
  await speedUp(servers);
  return { before, after };
}

const onShards = (shards: readonly number[]): (() => Target) => turning(targets(PER_SHARD, shards));

/** The table is put behind a view that sleeps once per statement. */
async function slowDown(servers: BenchServers): Promise<void> {
  const schema = schemaOf(SLOW);
  await servers.query(
    servers.of(SLOW),
    `begin;
     alter table ${schema}.entities rename to entities_behind;
     create view ${schema}.entities as
       select behind.* from (select pg_sleep(0.1) offset 0) as pause, ${schema}.entities_behind as behind;
     commit`,
  );
}

async function speedUp(servers: BenchServers): Promise<void> {
  const schema = schemaOf(SLOW);
  await servers.query(
    servers.of(SLOW),
    `begin;
     drop view ${schema}.entities;
     alter table ${schema}.entities_behind rename to entities;
     commit`,
  );
}
