import { AbortedError, InvalidArgumentError, TimeoutError } from '../errors.ts';
import { shareSignal } from '../internal/share-signal.ts';
import type { Cursor } from './cursor.ts';
import { ShardFailuresError } from './errors.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';

/** How work on many shards treats those that fail. */
export interface FanOutOptions {
  /**
   * Longest time for all of it. A shard that has not answered by then fails with `TimeoutError`; what it was doing is
   * cancelled, unless that comes too late. @default no limit
   */
  readonly timeoutMs?: number | undefined;
  /** `'throw'`: one failed shard fails the call. `'partial'`: what could be had is returned with the failures. @default 'throw' */
  readonly onError?: 'throw' | 'partial' | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One shard that failed. */
export interface ShardFailure {
  readonly shardId: number;
  readonly error: unknown;
}

/** What came of work on many shards. */
export interface FanOutResult<T> {
  /** Ascending by shard. */
  readonly results: Map<number, T>;
  /** Empty unless `onError` is `'partial'`. */
  readonly failures: ShardFailure[];
}

/** Shards of one server that are worked on at the same time leave this many clients to other callers. */
const CLIENTS_LEFT = 1;

/**
 * Runs `work` on each shard: servers side by side, shards of one server a few at a time.
 *
 * @throws ShardFailuresError, UnknownShardError
 */
export async function fanOut<T>(
  servers: Servers,
  shards: readonly number[],
  work: (cursor: Cursor) => Promise<T>,
  { timeoutMs, onError = 'throw', signal }: FanOutOptions,
  poolMax: number,
): Promise<FanOutResult<T>> {
  if (onError !== 'throw' && onError !== 'partial') {
    throw new InvalidArgumentError(`onError must be 'throw' or 'partial', not ${JSON.stringify(onError)}`);
  }
  const byServer = new Map<Server, number[]>();
  for (const shardId of new Set(shards)) {
    const server = servers.of(shardId);
    byServer.set(server, [...(byServer.get(server) ?? []), shardId]);
  }
  const { epoch } = servers.map;
  const stop = new AbortController();
  shareSignal(stop.signal);
  const reasonOf = stopper(stop, timeoutMs, signal);
  const results = new Map<number, T>();
  const failures: ShardFailure[] = [];
  const workers = [...byServer].flatMap(([server, queue]) =>
    Array.from({ length: Math.min(queue.length, Math.max(1, poolMax - CLIENTS_LEFT)) }, async () => {
      for (let shardId = queue.shift(); shardId !== undefined; shardId = queue.shift()) {
        let lent: Cursor | undefined;
        try {
          const noted = (cursor: Cursor): Promise<T> => {
            lent = cursor;
            return work(cursor);
          };
          results.set(shardId, await onShard(server, shardId, noted, stop.signal));
        } catch (raw) {
          const error = await servers.moved.explain(shardId, epoch, raw, lent?.keptWork ?? false);
          failures.push({ shardId, error });
          if (onError === 'throw' && !stop.signal.aborted) stop.abort(error);
        }
      }
    }),
  );
  await Promise.all(workers);
  reasonOf.clear();
  failures.sort((a, b) => a.shardId - b.shardId);
  if (signal?.aborted) throw new AbortedError('work on many shards', signal.reason);
  if (failures.length > 0 && onError === 'throw') throw new ShardFailuresError(firstCause(failures));
  return { results: new Map([...results].sort(([a], [b]) => a - b)), failures };
}

/** Runs the work on a lent cursor; when `signal` fires the session is cut, so the client is not held by a lost cause. */
async function onShard<T>(
  server: Server,
  shardId: number,
  work: (cursor: Cursor) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  if (signal.aborted) throw signal.reason;
  const cursor = await server.lend(shardId, signal).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason);
      void server.pool.discard(cursor.revoke());
    };
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(cursor), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    await server.pool.release(cursor.revoke());
  }
}

function stopper(
  stop: AbortController,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
): { clear(): void } {
  const onAbort = (): void => stop.abort(new AbortedError('work on many shards', signal?.reason));
  if (signal?.aborted) onAbort();
  shareSignal(signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => stop.abort(new TimeoutError(`no answer within ${timeoutMs} ms (timeoutMs)`, { retryable: false })),
          timeoutMs,
        );
  return {
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** With `'throw'` the first failure stops the others; only shards that failed by themselves are told. */
function firstCause(failures: readonly ShardFailure[]): ShardFailure[] {
  const own = failures.filter(({ error }, place) => failures.findIndex((other) => other.error === error) === place);
  return own.length > 0 ? own : [...failures];
}
