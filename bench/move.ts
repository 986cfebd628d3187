// What do programs notice when a shard moves? 32 writers, 20 tables, a million rows; the copy beside COPY through psql; and
// two servers that become four under load, drawn into docs/move-under-load.svg.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { finishMoves, type MoveProgress, moveShards } from 'pg-hypervault/cluster';
import { startEmbedded } from 'pg-hypervault/embedded';
import { type Mark, movePlot } from './support/move-plot.ts';
import { median, type Result, rounded } from './support/result.ts';
import { lostRows, makeCluster, makeTables, type ShardCluster } from './support/shard-cluster.ts';
import { type Call, startShardLoad } from './support/shard-load.ts';

const run_ = promisify(execFile);
const TABLES = 20;
const ROWS = Number(process.env.HYPERVAULT_BENCH_ROWS ?? 1_000_000);
const WRITERS = 32;
const MOVES = Number(process.env.HYPERVAULT_BENCH_MOVES ?? 4);
const DOCS = join(import.meta.dirname, '../docs');

/** All, or those that HYPERVAULT_BENCH_CASES names: the copy goes on with the shard of the pauses. */
const cases: Readonly<Record<string, (cluster: ShardCluster) => Promise<Result[]>>> = {
  pauses,
  copy: async (cluster) => [await copySpeed(cluster)],
  four: twoBecomeFour,
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

/** The same shard goes there and back again, and what every writer saw is counted. */
async function pauses(cluster: ShardCluster): Promise<Result[]> {
  await makeTables(cluster, { shards: [1], tables: TABLES, rowsEach: ROWS / TABLES });
  const load = await startShardLoad({ ...cluster.setting, shards: [1], writers: WRITERS, everyMs: 20, tables: TABLES });
  await wait(2_000);
  const flips: { at: number; pauseMs: number }[] = [];
  for (let n = 0; n < MOVES; n += 1) {
    const onProgress = ({ pauseMs }: MoveProgress): void => {
      if (pauseMs !== undefined) flips.push({ at: Date.now(), pauseMs });
    };
    const options = { acceptStaleReads: true, wayBack: false, verify: n === 0, onProgress };
    await moveShards(cluster.setting, { shards: [1], to: n % 2 === 0 ? 'db2' : 'db1' }, options);
    await wait(1_000);
  }
  const report = await load.stop();
  const quiet = report.calls.filter(([at]) => flips.every((flip) => Math.abs(at - flip.at) > 1_000));
  // What a writer waited: its slowest call that was under way when the shard was handed over.
  const waits = flips.flatMap(({ at, pauseMs }) =>
    Array.from({ length: WRITERS }, (_, writer) =>
      Math.max(
        ...report.calls
          .filter(([ended, took, who]) => who === writer && ended - took < at && ended > at - pauseMs)
          .map(([, took]) => took),
        0,
      ),
    ),
  );
  // How long after the shard was opened the last of the calls that waited for it were over.
  const behind = flips.flatMap(({ at, pauseMs }) =>
    report.calls
      .filter(([ended, took]) => ended - took < at && ended > at && took > pauseMs / 2)
      .map(([ended]) => ended - at),
  );
  const home = MOVES % 2 === 0 ? 'db1' : 'db2';
  const shared = { bench: 'move', rows: ROWS, tables: TABLES, writers: WRITERS, moves: MOVES };
  return [
    {
      ...shared,
      case: 'longest wait of a writer in a hand-over, p99',
      goal: 'at most 50 ms',
      unit: 'ms',
      ours: rounded(at(waits, 0.99)),
      waitsMs: { p50: rounded(median(waits)), p95: rounded(at(waits, 0.95)), max: rounded(at(waits, 1)) },
      behindTheOpeningMs: { p50: rounded(median(behind)), p99: rounded(at(behind, 0.99)) },
      partsOfTheLongestMs: await longestParts(cluster),
      pausesOfTheMoverMs: Object.fromEntries(flips.map(({ pauseMs }, n) => [`move ${n + 1}`, rounded(pauseMs)])),
      callsOtherwiseMs: { p50: rounded(median(took(quiet))), p99: rounded(at(took(quiet), 0.99)) },
      seen: {
        calls: report.calls.length,
        failedCalls: report.failures.length,
        ...(report.failures.length > 0 && { failures: [...new Set(report.failures)].slice(0, 3) }),
        lost: await lostRows(cluster, { server: home, shardId: 1, tables: TABLES }, report),
        duplicateIds: report.acked.length - new Set(report.acked).size,
      },
      load: loadavg()[0]!.toFixed(1),
    },
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

/** Half of the shards of two servers go to two new ones, while all are written to. */
async function twoBecomeFour(cluster: ShardCluster): Promise<Result[]> {
  const { setting } = cluster;
  const shards = Array.from({ length: 14 }, (_, n) => n + 2);
  await makeTables(cluster, { shards, tables: TABLES, rowsEach: 500 });
  const load = await startShardLoad({ ...setting, shards, writers: WRITERS, everyMs: 10, tables: TABLES });
  await wait(3_000);
  const marks: Mark[] = [];
  const waited: number[] = [];
  const onProgress = ({ pauseMs, shardId, source, target }: MoveProgress): void => {
    if (pauseMs === undefined) return;
    marks.push({ at: Date.now(), label: `shard ${shardId}: ${source} to ${target}` });
    waited.push(pauseMs);
  };
  const options = { acceptStaleReads: true, onProgress };
  await moveShards(setting, { shards: [5, 6, 7, 8], to: 'db3' }, options);
  await moveShards(setting, { shards: [13, 14, 15], to: 'db4' }, options);
  await wait(2_000);
  await finishMoves(setting);
  await wait(2_000);
  const report = await load.stop();
  const places = new Map(shards.map((shardId) => [shardId, placeOf(shardId)]));
  const missing = await Promise.all(
    shards.map((shardId) => lostRows(cluster, { server: places.get(shardId)!, shardId, tables: TABLES }, report)),
  );
  await writeFile(
    join(DOCS, 'move-under-load.svg'),
    movePlot(`Two servers become four: ${marks.length} shards move under ${WRITERS} writers`, report.calls, marks),
  );
  await writeFile(join(DOCS, 'move-under-load.csv'), summary(report.calls, marks));
  return [
    {
      bench: 'move',
      case: 'two servers become four under load, p99 of all calls',
      shards: marks.length,
      writers: WRITERS,
      unit: 'ms',
      ours: rounded(at(took(report.calls), 0.99)),
      pausesOfTheMoverMs: { p50: rounded(median(waited)), max: rounded(at(waited, 1)) },
      partsOfTheLongestMs: await longestParts(cluster, MOVES + 1),
      seen: {
        calls: report.calls.length,
        failedCalls: report.failures.length,
        lost: missing.reduce((sum, n) => sum + n, 0),
        duplicateIds: report.acked.length - new Set(report.acked).size,
        slowestMs: rounded(at(took(report.calls), 1)),
      },
      load: loadavg()[0]!.toFixed(1),
    },
  ];
}

/** Where the longest pause went, by the journal. */
async function longestParts({ setting }: ShardCluster, after = 0): Promise<Record<string, number>> {
  const client = new pg.Client(setting.control as pg.ClientConfig);
  await client.connect();
  const { rows } = await client.query(
    `select detail->'partsMs' as parts from hypervault.move_steps
     where step = 'open' and move > $1 order by (detail->>'pauseMs')::float8 desc limit 1`,
    [after],
  );
  await client.end();
  return rows[0]!.parts as Record<string, number>;
}

function placeOf(shardId: number): string {
  if (shardId < 5) return 'db1';
  if (shardId < 9) return 'db3';
  return shardId < 13 ? 'db2' : 'db4';
}

/** What the plot is drawn from, in tenths of seconds. */
function summary(calls: readonly Call[], marks: readonly Mark[]): string {
  const from = Math.min(...calls.map(([ended]) => ended));
  const rows: { calls: number; slowestMs: number; flip: string }[] = [];
  const row = (ended: number) => {
    const place = Math.floor((ended - from) / 100);
    rows[place] ??= { calls: 0, slowestMs: 0, flip: '' };
    return rows[place];
  };
  for (const [ended, tookMs] of calls) {
    const bucket = row(ended);
    bucket.calls += 1;
    bucket.slowestMs = Math.max(bucket.slowestMs, tookMs);
  }
  for (const { at: moment, label } of marks) row(moment).flip = label;
  const lines = rows.map(({ calls: n, slowestMs, flip }, place) => `${place * 100},${n},${slowestMs},${flip}`);
  return `at_ms,calls,slowest_ms,flip\n${lines.filter((line) => line !== undefined).join('\n')}\n`;
}

const took = (calls: readonly Call[]): number[] => calls.map(([, ms]) => ms);

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
