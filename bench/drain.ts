// What do programs notice while a server is emptied? 256 small shards leave it one by one, 32 callers go on.
import { loadavg } from 'node:os';
import pg from 'pg';
import { type MoveProgress, planDrain, runPlan, surveyShards } from 'pg-hypervault/cluster';
import { type Embedded, startEmbedded } from 'pg-hypervault/embedded';
import { type CpuShare, cpuGroups, holdToShare } from './support/cpu-share.ts';
import { percentile, type Result, rounded, spread } from './support/result.ts';
import { lostRows, makeCluster, makeTables, type ShardCluster } from './support/shard-cluster.ts';
import { startShardLoad, took } from './support/shard-load.ts';

const SHARDS = Number(process.env.HYPERVAULT_BENCH_SHARDS ?? 256);
const CALLERS = 32;
const TABLES = 2;
const ROWS = 1_500;
/** Between two calls of one caller. */
const EVERY_MS = 20;
const BEFORE_MS = 15_000;
/** Until every session has met every table once: before that, calls are slower than they will be. */
const WARM_UP_MS = 6_000;
/** Of one processor, for each server, so that neither programs nor the mover take what is a server's; 0: as it comes. */
const SHARE = Number(process.env.HYPERVAULT_BENCH_SHARE ?? 0);
/** As `hypervault drain` rests after each move. */
const REST_MS = Number(process.env.HYPERVAULT_BENCH_REST_MS ?? 2_000);

export async function run(): Promise<Result[]> {
  const settings = { shared_buffers: '128MB', max_wal_size: '4GB' };
  const embedded = await startEmbedded({ servers: 2, settings });
  const shares: CpuShare[] = [];
  try {
    const cluster = await makeCluster(embedded, { db1: `1-${SHARDS + 1}` });
    return [await drain(cluster, () => held(embedded, shares))];
  } finally {
    await embedded.stop();
    for (const share of shares) await share.release();
  }
}

/** Holds every server to its share. Whether it could. */
async function held({ servers }: Embedded, shares: CpuShare[]): Promise<boolean> {
  if (SHARE === 0) return false;
  const groups = await cpuGroups();
  if ('why' in groups) {
    console.log(`servers are not held to a share: ${groups.why}`);
    return false;
  }
  for (const { pid, name } of servers) {
    const group = `hypervault-bench-${process.pid}-${name}`;
    shares.push(await holdToShare(groups.version, { pid: pid!, share: SHARE, name: group }));
  }
  return true;
}

async function drain(cluster: ShardCluster, hold: () => Promise<boolean>): Promise<Result> {
  const { setting, map } = cluster;
  const shards = Array.from({ length: SHARDS }, (_, n) => n + 1);
  await makeTables(cluster, { shards, tables: TABLES, rowsEach: ROWS / TABLES });
  const isHeld = await hold();
  // Each caller has eight shards, in turns.
  const load = await startShardLoad({ ...setting, shards, writers: CALLERS, everyMs: EVERY_MS, tables: TABLES });
  await wait(WARM_UP_MS);
  const began = Date.now();
  await wait(BEFORE_MS);
  const pauses: number[] = [];
  const onProgress = ({ pauseMs }: MoveProgress): void => {
    if (pauseMs !== undefined) pauses.push(pauseMs);
  };
  const plan = planDrain(await surveyShards(map), 'db1', ['db2']);
  const from = Date.now();
  const usedBefore = process.cpuUsage();
  await runPlan(setting, plan.moves, {
    acceptStaleReads: true,
    onProgress,
    restMs: REST_MS,
    onMove: ({ done, total, perMinute, leftMs, error }) => {
      if (error !== undefined) console.error(error);
      if (done % 16 !== 0) return;
      const left = Math.round(leftMs / 1_000);
      console.log(
        `${done} of ${total}: ${rounded(perMinute)} a minute, ${left} s left, load ${loadavg()[0]!.toFixed(1)}`,
      );
    },
  });
  const to = Date.now();
  const used = process.cpuUsage(usedBefore);
  const report = await load.stop();
  const before = took(report.calls.filter(([ended]) => ended > began && ended <= from));
  const during = took(report.calls.filter(([ended]) => ended > from && ended <= to));
  let lost = 0;
  for (const shardId of shards) lost += await lostRows(cluster, { server: 'db2', shardId, tables: TABLES }, report);
  return {
    bench: 'drain',
    case: 'a server is emptied under load: p99 of all calls, times that before',
    goal: 'at most 1.5 ×',
    shards: SHARDS,
    rowsEach: ROWS,
    callers: CALLERS,
    restMs: REST_MS,
    sharePerServer: isHeld ? SHARE : 'none',
    unit: '×',
    ours: rounded(percentile(during, 0.99) / percentile(before, 0.99)),
    beforeMs: spread(before),
    duringMs: spread(during),
    pausesOfTheMoverMs: spread(pauses),
    shardsPerSecond: rounded((SHARDS * 1_000) / (to - from)),
    processorMsOfTheMoverEach: rounded((used.user + used.system) / 1_000 / SHARDS),
    secondsOfAMove: await secondsOfSteps(cluster),
    seen: {
      calls: report.calls.length,
      failedCalls: report.failures.length,
      ...(report.failures.length > 0 && { failures: [...new Set(report.failures)].slice(0, 3) }),
      lost,
      duplicateIds: report.acked.length - new Set(report.acked).size,
    },
    load: loadavg()[0]!.toFixed(1),
  };
}

/** What the steps of a move take, at the median. */
async function secondsOfSteps({ setting }: ShardCluster): Promise<Record<string, number>> {
  const client = new pg.Client(setting.control as pg.ClientConfig);
  await client.connect();
  const { rows } = await client.query<{ step: string; seconds: number }>(
    `select step, percentile_cont(0.5) within group (order by extract(epoch from done - began)::float8) as seconds
     from hypervault.move_steps
     where step not in ('pause', 'fence', 'flip')
     group by step
     order by min(id)`,
  );
  await client.end();
  return Object.fromEntries(rows.map(({ step, seconds }) => [step, rounded(seconds)]));
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
