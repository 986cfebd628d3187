import { ConfigurationError } from '../../errors.ts';
import { sleep, throwIfAborted } from '../../internal/sleep.ts';
import { MovesFailedError } from '../errors.ts';
import { listMoves, type MoveOptions, type MoveSetting, moveShards, resumeMoves } from '../move/index.ts';
import type { PlannedMove } from './plan.ts';

/** How a plan is carried out: with the options of each move. */
export interface RunPlanOptions extends MoveOptions {
  /** Moves under way at the same time. @default 2 */
  readonly concurrency?: number | undefined;
  /** Moves under way at the same time that begin or end on one server. @default 1 */
  readonly maxPerServer?: number | undefined;
  /**
   * How long the two servers of a move are left alone after it, so that a plan of many small shards, each of which is
   * copied, built and compared at full speed, stays a guest. A move of 1,500 rows takes some 0.2 s of processor on each
   * server: on a machine of two processors programs saw a 99th percentile 1.65 times that before with a rest of 500 ms,
   * 1.07 times with 2,000. @default 2000
   */
  readonly restMs?: number | undefined;
  /** Told when a move is over, well or not. */
  readonly onMove?: ((outcome: MoveOutcome) => void) | undefined;
}

/** How one move of a plan ended. */
export interface MoveOutcome extends PlannedMove {
  readonly error?: unknown;
  /** Moves that are over. */
  readonly done: number;
  readonly total: number;
  /** Moves a minute since the plan was begun. */
  readonly perMinute: number;
  /** How long the rest will take at this rate, in ms. */
  readonly leftMs: number;
}

/**
 * Carries out the moves of a plan, several at a time, each with its own pause. Moves that an earlier run has begun are
 * taken up first, so a run that was interrupted is simply run again with a new plan. A move that fails stops no other.
 *
 * The way back is not kept unless `wayBack` is true: each one holds a replication slot until it is finished.
 *
 * @throws MovesFailedError when some moves failed: all others are done; AbortedError
 */
export async function runPlan(
  setting: MoveSetting,
  moves: readonly PlannedMove[],
  { concurrency = 2, maxPerServer = 1, restMs = 2_000, onMove, ...options }: RunPlanOptions = {},
): Promise<void> {
  if (!(restMs >= 0)) throw new ConfigurationError(`a plan of moves: restMs must be at least 0, not ${restMs}`);
  const how: MoveOptions = { wayBack: false, ...options };
  const open = await listMoves(setting, { open: true, ...(options.signal && { signal: options.signal }) });
  const begun = new Map(open.map((move) => [move.shardId, move]));
  const queue = [...moves].sort((a, b) => Number(begun.has(b.shardId)) - Number(begun.has(a.shardId)));
  const failures: { move: PlannedMove; error: unknown }[] = [];
  const busy = new Map<string, number>();
  const running = new Set<Promise<void>>();
  const began = performance.now();
  let done = 0;

  const free = ({ from, to }: PlannedMove): boolean =>
    [from, to].every((server) => (busy.get(server) ?? 0) < maxPerServer);
  const run = async (move: PlannedMove): Promise<void> => {
    for (const server of [move.from, move.to]) busy.set(server, (busy.get(server) ?? 0) + 1);
    let error: unknown;
    try {
      if (begun.has(move.shardId)) await resumeMoves(setting, { shards: [move.shardId] }, how);
      else await moveShards(setting, { shards: [move.shardId], to: move.to }, how);
    } catch (thrown) {
      error = thrown;
      failures.push({ move, error });
    }
    done += 1;
    const tookMs = performance.now() - began;
    const total = moves.length;
    onMove?.({
      ...move,
      error,
      done,
      total,
      perMinute: (done * 60_000) / tookMs,
      leftMs: (tookMs / done) * (total - done),
    });
    if (done < total && restMs > 0) {
      await sleep(restMs, { signal: options.signal, what: 'the rest between moves' }).catch(() => {});
    }
    for (const server of [move.from, move.to]) busy.set(server, busy.get(server)! - 1);
  };

  while (queue.length > 0 || running.size > 0) {
    const place = options.signal?.aborted || running.size >= concurrency ? -1 : queue.findIndex(free);
    if (place >= 0) {
      const [move] = queue.splice(place, 1);
      const going = run(move!).finally(() => running.delete(going));
      running.add(going);
    } else if (running.size > 0) {
      await Promise.race(running);
    } else {
      break;
    }
  }
  throwIfAborted(options.signal, 'moving shards');
  if (failures.length > 0) throw new MovesFailedError(failures);
}
