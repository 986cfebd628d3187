// Part of move.ts: one shard goes there and back again under load, and what every writer saw is counted.
import { loadavg } from 'node:os';
import { type MoveOptions, type MoveProgress, moveShards, revertMoves } from 'pg-hypervault/cluster';
import { percentile, type Result, rounded, spread } from './support/result.ts';
import { lostRows, makeTables, pauseParts, type ShardCluster } from './support/shard-cluster.ts';
import { startShardLoad, took } from './support/shard-load.ts';

const REST_MS = 250;

/** Each round hands the shard over twice: there, and back by the way back, which copies nothing. */
export async function handOvers(
  cluster: ShardCluster,
  {
    shardId,
    rows,
    rounds,
    tables,
    writers,
  }: { shardId: number; rows: number; rounds: number; tables: number; writers: number },
): Promise<Result> {
  const { setting } = cluster;
  await makeTables(cluster, { shards: [shardId], tables, rowsEach: rows / tables });
  const load = await startShardLoad({ ...setting, shards: [shardId], writers, everyMs: 20, tables });
  await wait(2_000);
  const flips: { at: number; pauseMs: number }[] = [];
  const from = new Date();
  let openedAt = 0;
  const onStep: MoveOptions['onStep'] = (step, phase) => {
    if (step === 'open' && phase === 'acted') openedAt = Date.now();
  };
  const onProgress = ({ pauseMs }: MoveProgress): void => {
    if (pauseMs !== undefined) flips.push({ at: openedAt, pauseMs });
  };
  for (let n = 0; n < rounds; n += 1) {
    const options = { acceptStaleReads: true, verify: n === 0, onProgress, onStep };
    await moveShards(setting, { shards: [shardId], to: 'db2' }, options);
    await wait(REST_MS);
    await revertMoves(setting, { shards: [shardId] }, options);
    await wait(REST_MS);
  }
  const report = await load.stop();
  const quiet = report.calls.filter(([at]) => flips.every((flip) => Math.abs(at - flip.at) > 1_000));
  // What a writer waited: its slowest call that was under way when the shard was handed over.
  const waits = flips.map(({ at, pauseMs }) =>
    Array.from({ length: writers }, (_, writer) =>
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
  const longest = waits.map((each) => Math.max(...each));
  const paused = flips.map(({ pauseMs }) => pauseMs);
  return {
    bench: 'move',
    rows,
    tables,
    writers,
    handOvers: flips.length,
    case: `longest wait of a writer in a hand-over of ${rows.toLocaleString('en')} rows, p99`,
    goal: 'at most 50 ms',
    unit: 'ms',
    ours: rounded(percentile(waits.flat(), 0.99)),
    waitsMs: spread(waits.flat()),
    longestOfEachHandOverMs: spread(longest),
    // No session of the program has touched the shard on that server before.
    longestOfTheFirstMs: longest[0],
    behindTheOpeningMs: spread(behind),
    pausesOfTheMoverMs: spread(paused),
    partsMs: await pauseParts(cluster, from),
    callsOtherwiseMs: spread(took(quiet)),
    seen: {
      calls: report.calls.length,
      failedCalls: report.failures.length,
      ...(report.failures.length > 0 && { failures: [...new Set(report.failures)].slice(0, 3) }),
      lost: await lostRows(cluster, { server: 'db1', shardId, tables }, report),
      duplicateIds: report.acked.length - new Set(report.acked).size,
    },
    load: loadavg()[0]!.toFixed(1),
  };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
