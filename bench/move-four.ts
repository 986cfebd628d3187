// Part of move.ts: two servers become four under load, drawn into docs/move-under-load.svg.
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { finishMoves, type MoveProgress, moveShards } from 'pg-hypervault/cluster';
import { type Mark, movePlot } from './support/move-plot.ts';
import { median, percentile, type Result, rounded } from './support/result.ts';
import { lostRows, makeTables, pauseParts, type ShardCluster } from './support/shard-cluster.ts';
import { type Call, startShardLoad, took } from './support/shard-load.ts';

const DOCS = join(import.meta.dirname, '../docs');

/** Half of the shards of two servers go to two new ones, while all are written to. */
export async function twoBecomeFour(
  cluster: ShardCluster,
  { tables, writers }: { tables: number; writers: number },
): Promise<Result> {
  const { setting } = cluster;
  const shards = Array.from({ length: 14 }, (_, n) => n + 2);
  const from = new Date();
  await makeTables(cluster, { shards, tables, rowsEach: 500 });
  const load = await startShardLoad({ ...setting, shards, writers, everyMs: 10, tables });
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
    shards.map((shardId) => lostRows(cluster, { server: places.get(shardId)!, shardId, tables }, report)),
  );
  await writeFile(
    join(DOCS, 'move-under-load.svg'),
    movePlot(`Two servers become four: ${marks.length} shards move under ${writers} writers`, report.calls, marks),
  );
  await writeFile(join(DOCS, 'move-under-load.csv'), summary(report.calls, marks));
  return {
    bench: 'move',
    case: 'two servers become four under load, p99 of all calls',
    shards: marks.length,
    writers,
    unit: 'ms',
    ours: rounded(percentile(took(report.calls), 0.99)),
    pausesOfTheMoverMs: { p50: rounded(median(waited)), max: rounded(percentile(waited, 1)) },
    partsMs: await pauseParts(cluster, from),
    seen: {
      calls: report.calls.length,
      failedCalls: report.failures.length,
      lost: missing.reduce((sum, n) => sum + n, 0),
      duplicateIds: report.acked.length - new Set(report.acked).size,
      slowestMs: rounded(percentile(took(report.calls), 1)),
    },
    load: loadavg()[0]!.toFixed(1),
  };
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

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
