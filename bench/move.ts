// What do programs notice when a shard moves? 32 writers, 20 tables, a million rows; the copy beside COPY through psql; and
// two servers that become four under load, drawn into docs/move-under-load.svg; and a transaction that is left open meanwhile.
import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { promisify } from 'node:util';
import { type MoveProgress, moveShards } from 'pg-hypervault/cluster';
import { startEmbedded } from 'pg-hypervault/embedded';
import { twoBecomeFour } from './move-four.ts';
import { handOvers } from './move-hand-overs.ts';
import { besideAnOpenTransaction } from './move-held.ts';
import { type Result, rounded } from './support/result.ts';
import { makeCluster, type ShardCluster } from './support/shard-cluster.ts';

const run_ = promisify(execFile);
const TABLES = 20;
const ROWS = Number(process.env.HYPERVAULT_BENCH_ROWS ?? 1_000_000);
const WRITERS = 32;
/** Hand-overs are twice as many. */
const ROUNDS = Number(process.env.HYPERVAULT_BENCH_ROUNDS ?? 6);
const SMALL_ROUNDS = Number(process.env.HYPERVAULT_BENCH_SMALL_ROUNDS ?? 50);

/** All, or those that HYPERVAULT_BENCH_CASES names: the copy goes on with the shard of the pauses. */
const cases: Readonly<Record<string, (cluster: ShardCluster) => Promise<Result[]>>> = {
  pauses,
  copy: async (cluster) => [await copySpeed(cluster)],
  four: async (cluster) => [await twoBecomeFour(cluster, { tables: TABLES, writers: WRITERS })],
  held: (cluster) => besideAnOpenTransaction(cluster, { tables: TABLES, writers: WRITERS }),
};
const CASES = process.env.HYPERVAULT_BENCH_CASES?.split(',') ?? Object.keys(cases);

export async function run(): Promise<Result[]> {
  const embedded = await startEmbedded({ servers: 4, settings: { shared_buffers: '128MB', max_wal_size: '4GB' } });
  try {
    const cluster = await makeCluster(embedded, { db1: '1-9', db2: '9-17' });
    const results: Result[] = [];
    for (const name of CASES) results.push(...(await cases[name]!(cluster)));
    return results;
  } finally {
    await embedded.stop();
  }
}

/** A shard of a million rows goes there and back again, then a small one much more often: one sample is one hand-over. */
async function pauses(cluster: ShardCluster): Promise<Result[]> {
  const programs = { tables: TABLES, writers: WRITERS };
  return [
    await handOvers(cluster, { shardId: 1, rows: ROWS, rounds: ROUNDS, ...programs }),
    await handOvers(cluster, { shardId: 2, rows: 2_000, rounds: SMALL_ROUNDS, ...programs }),
  ];
}

/** Rows a second of the copy with its indexes, beside two pipes of psql that do the same. */
async function copySpeed(cluster: ShardCluster): Promise<Result> {
  const { connections, query, setting } = cluster;
  const steps = new Map<string, number>();
  const onProgress = ({ step }: MoveProgress): void => {
    if (!steps.has(step)) steps.set(step, performance.now());
  };
  await moveShards(
    setting,
    { shards: [1], to: 'db3' },
    { acceptStaleReads: true, wayBack: false, verify: false, onProgress },
  );
  const ours = (steps.get('gate')! - steps.get('publish')!) / 1_000;
  await query('db4', 'create schema copied; create extension if not exists hstore');
  const rows = await query(
    'db3',
    `select sum(n_live_tup)::float8 as n from pg_stat_user_tables where schemaname = 'shard0001'`,
  );
  const url = (name: string): string => {
    const { host, port, user, password, database } = connections[name]!;
    return `postgres://${user}:${password}@${host}:${port}/${database}`;
  };
  const waiting = Array.from({ length: TABLES }, (_, n) => `t${n + 1}`);
  for (const table of waiting) {
    await query('db4', `create table copied.${table} (id bigint primary key, name text not null, n bigint not null)`);
  }
  await query('db3', 'checkpoint');
  const began = performance.now();
  const turns = waiting[Symbol.iterator]();
  await Promise.all(
    [0, 1].map(async () => {
      for (const table of turns) {
        await run_('sh', [
          '-c',
          `psql -qAt '${url('db3')}' -c 'copy shard0001.${table} to stdout' | psql -q '${url('db4')}' -c 'copy copied.${table} from stdin'`,
        ]);
        await query('db4', `create index on copied.${table} (n)`);
      }
    }),
  );
  await query('db4', `analyze`);
  const theirs = (performance.now() - began) / 1_000;
  const count = rows.rows[0]!.n as number;
  return {
    bench: 'move',
    case: 'copy and indexes, nobody writing',
    rows: ROWS,
    tables: TABLES,
    goal: 'at least 0.7 × psql',
    unit: 'rows/s',
    ours: rounded(ROWS / ours),
    rivals: { 'psql, two pipes': rounded(ROWS / theirs) },
    counted: { liveRows: count },
    load: loadavg()[0]!.toFixed(1),
  };
}
