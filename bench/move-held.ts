// Part of move.ts: what do writers notice while a move waits for a transaction that is left open for half a minute?
import { loadavg } from 'node:os';
import pg from 'pg';
import { type MoveProgress, moveShards } from 'pg-hypervault/cluster';
import { percentile, type Result, rounded, spread } from './support/result.ts';
import { lostRows, makeTables, type ShardCluster, schemaOf } from './support/shard-cluster.ts';
import { startShardLoad, took } from './support/shard-load.ts';

const HELD_MS = Number(process.env.HYPERVAULT_BENCH_HELD_MS ?? 30_000);
/** Of each of the two shards, half of the writers write to one. */
const ROWS = 2_000;

/** Two shards are asked to move at once: one that the open transaction has written to, one that it has not. */
export async function besideAnOpenTransaction(
  cluster: ShardCluster,
  { tables, writers }: { tables: number; writers: number },
): Promise<Result[]> {
  const { setting, connections } = cluster;
  const [written, other] = [3, 4];
  const shards = [written, other];
  await makeTables(cluster, { shards, tables, rowsEach: ROWS / tables });
  const load = await startShardLoad({ ...setting, shards, writers, everyMs: 20, tables });
  await wait(2_000);
  const holder = new pg.Client(connections.db1);
  await holder.connect();
  await holder.query(`begin; insert into ${schemaOf(written)}.t1 (name, n) values ('held', 0)`);
  const from = Date.now();
  const notes = new Map<number, Set<string>>(shards.map((shardId) => [shardId, new Set()]));
  const openedAt = new Map<number, number>();
  const onProgress = ({ shardId, note, pauseMs }: MoveProgress): void => {
    if (note !== undefined) notes.get(shardId)!.add(note);
    if (pauseMs !== undefined) openedAt.set(shardId, Date.now());
  };
  const moving = shards.map((shardId) =>
    moveShards(setting, { shards: [shardId], to: 'db2' }, { acceptStaleReads: true, wayBack: false, onProgress }),
  );
  const over = Promise.all(moving);
  over.catch(() => {});
  await wait(HELD_MS);
  await holder.query('commit');
  const released = Date.now();
  await holder.end();
  await over;
  await wait(1_000);
  const report = await load.stop();
  const results: Result[] = [];
  for (const [turn, shardId] of shards.entries()) {
    const calls = report.calls.filter(([ended, , writer]) => ended > from && writer % shards.length === turn);
    const whose = shardId === written ? 'that has written to the shard' : 'that has written to another shard only';
    results.push({
      bench: 'move',
      case: `a transaction ${whose} is left open for ${HELD_MS / 1_000} s: p99 of all calls`,
      goal: 'at most 500 ms',
      writers: writers / shards.length,
      unit: 'ms',
      ours: rounded(percentile(took(calls), 0.99)),
      callsMs: spread(took(calls)),
      openedBehindItsEndMs: openedAt.get(shardId)! - released,
      notes: [...notes.get(shardId)!],
      seen: {
        calls: calls.length,
        failedCalls: report.failures.length,
        lost: await lostRows(cluster, { server: 'db2', shardId, tables }, report),
      },
      load: loadavg()[0]!.toFixed(1),
    });
  }
  return results;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
