// What do programs notice when a shard moves? 32 writers, 20 tables, a million rows; the copy beside COPY through psql; and
// two servers that become four under load, drawn into docs/move-under-load.svg.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { type ShardMap, shardMapOf } from 'pg-hypervault';
import {
  finishMoves,
  initCluster,
  type MoveProgress,
  type MoveSetting,
  migrate,
  moveShards,
} from 'pg-hypervault/cluster';
import { type Embedded, startEmbedded } from 'pg-hypervault/embedded';
import { type Mark, movePlot } from './support/move-plot.ts';
import { median, type Result, rounded } from './support/result.ts';
import { type Call, type ShardLoadReport, startShardLoad } from './support/shard-load.ts';

const run_ = promisify(execFile);
const TABLES = 20;
const ROWS = Number(process.env.HYPERVAULT_BENCH_ROWS ?? 1_000_000);
const WRITERS = 32;
const MOVES = 4;
const DOCS = join(import.meta.dirname, '../docs');
const names = ['db1', 'db2', 'db3', 'db4'] as const;

interface Cluster {
  readonly setting: MoveSetting;
  /** As it was at first. */
  readonly map: ShardMap;
  readonly connections: Readonly<Record<string, pg.ClientConfig & { host: string; port: number; password: string }>>;
  query(server: string, text: string): Promise<pg.QueryResult>;
}

export async function run(): Promise<Result[]> {
  const embedded = await startEmbedded({ servers: 4, settings: { shared_buffers: '128MB', max_wal_size: '4GB' } });
  try {
    const cluster = await makeCluster(embedded);
    return [...(await pauses(cluster)), await copySpeed(cluster), ...(await twoBecomeFour(cluster))];
  } finally {
    await embedded.stop();
  }
}

/** Sixteen shards on two of four servers. */
async function makeCluster({ servers }: Embedded): Promise<Cluster> {
  const connections = Object.fromEntries(names.map((name, n) => [name, servers[n]!.connection]));
  const query = async (server: string, text: string): Promise<pg.QueryResult> => {
    const client = new pg.Client(connections[server]);
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  await query('db1', 'create database control');
  const control = { ...connections.db1!, database: 'control' };
  const shards = { db1: '1-9', db2: '9-17' };
  const entries = Object.entries(shards).map(([name, ranges]) => ({ ...connections[name]!, name, shards: ranges }));
  await initCluster(entries, control);
  return { setting: { control, servers: connections }, connections, map: shardMapOf(entries), query };
}

/** Twenty tables in some shards, by a migration, and rows in them. */
async function makeTables(cluster: Cluster, shards: readonly number[], rowsEach: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-move-'));
  const source = Array.from(
    { length: TABLES },
    (_, n) => `create table t${n + 1} (id bigint primary key default next_id(), name text not null, n bigint not null);
create index t${n + 1}_n on t${n + 1} (n);`,
  ).join('\n');
  await writeFile(join(directory, '001-tables.sql'), source);
  await migrate(cluster.map, { directory, shards });
  await rm(directory, { recursive: true });
  for (const shardId of shards) {
    const { name } = cluster.map.serverOf(shardId);
    for (let n = 1; n <= TABLES; n += 1) {
      await cluster.query(
        name,
        `insert into ${schemaOf(shardId)}.t${n} (name, n)
         select 'Person number ' || g || ' of Reykjavík', g from generate_series(1, ${rowsEach}) g`,
      );
    }
    await cluster.query(name, 'checkpoint');
  }
}

/** The same shard goes there and back again, and what every writer saw is counted. */
async function pauses(cluster: Cluster): Promise<Result[]> {
  await makeTables(cluster, [1], ROWS / TABLES);
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
      pausesOfTheMoverMs: Object.fromEntries(flips.map(({ pauseMs }, n) => [`move ${n + 1}`, rounded(pauseMs)])),
      callsOtherwiseMs: { p50: rounded(median(took(quiet))), p99: rounded(at(took(quiet), 0.99)) },
      seen: {
        calls: report.calls.length,
        failedCalls: report.failures.length,
        lost: await lost(cluster, home, 1, report),
        duplicateIds: report.acked.length - new Set(report.acked).size,
      },
      load: loadavg()[0]!.toFixed(1),
    },
  ];
}

/** Rows a second of the copy with its indexes, beside two pipes of psql that do the same. */
async function copySpeed(cluster: Cluster): Promise<Result> {
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
async function twoBecomeFour(cluster: Cluster): Promise<Result[]> {
  const { setting } = cluster;
  const shards = Array.from({ length: 14 }, (_, n) => n + 2);
  await makeTables(cluster, shards, 500);
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
  const missing = await Promise.all(shards.map((shardId) => lost(cluster, places.get(shardId)!, shardId, report)));
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
      partsOfTheLongestMs: await longestParts(cluster),
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
async function longestParts({ setting }: Cluster): Promise<Record<string, number>> {
  const client = new pg.Client(setting.control as pg.ClientConfig);
  await client.connect();
  const { rows } = await client.query(
    `select detail->'partsMs' as parts from hypervault.move_steps
     where step = 'open' and move > ${MOVES + 1} order by (detail->>'pauseMs')::float8 desc limit 1`,
  );
  await client.end();
  return rows[0]!.parts as Record<string, number>;
}

function placeOf(shardId: number): string {
  if (shardId < 5) return 'db1';
  if (shardId < 9) return 'db3';
  return shardId < 13 ? 'db2' : 'db4';
}

/** Acknowledged rows of a shard that are not on its server. */
async function lost({ query }: Cluster, server: string, shardId: number, { acked }: ShardLoadReport): Promise<number> {
  let missing = 0;
  for (const table of ['entities', ...Array.from({ length: TABLES }, (_, n) => `t${n + 1}`)]) {
    const ids = acked
      .filter((row) => row.startsWith(`${table} `))
      .map((row) => row.slice(table.length + 1))
      .filter((id) => Number((BigInt(id) >> 10n) & 8191n) === shardId);
    if (ids.length === 0) continue;
    const { rows } = await query(
      server,
      `select count(*)::int as n from unnest('{${ids.join(',')}}'::bigint[]) as given (id)
       where not exists (select from ${schemaOf(shardId)}.${table} as row where row.id = given.id)`,
    );
    missing += rows[0]!.n as number;
  }
  return missing;
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

const schemaOf = (shardId: number): string => `shard${String(shardId).padStart(4, '0')}`;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
