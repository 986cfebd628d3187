import { sleep } from '../internal/sleep.ts';
import { SQLSTATE, SV, sqlStateOf } from '../internal/sqlstate.ts';
import type { ShardMap } from './shard-map.ts';
import type { ShardMapSource } from './shard-map-source.ts';

/** SQLSTATEs that may mean "not here any more". */
const MOVED = new Set<string | undefined>([
  SV.shardMoved,
  SQLSTATE.sequenceLimitExceeded,
  SQLSTATE.undefinedTable,
  SQLSTATE.invalidSchemaName,
  SQLSTATE.insufficientPrivilege,
]);

/** Longest pauses between looks at the map while a shard is handed over; a map that follows its source comes earlier. */
const LOOK_MS = [8, 15, 30, 60, 100];
/** How long a new server needs to open a shard that the map gives it already. */
const OPENING_MS = 5;

/** Whether an error may mean that the shard lives elsewhere by now. */
export function mayHaveMoved(error: unknown): boolean {
  return MOVED.has(sqlStateOf(error));
}

/** Whether an error comes from the fence itself, which stands before every table of its shard. */
export function isFence(error: unknown): boolean {
  return sqlStateOf(error) === SV.shardMoved;
}

/** Where a fence points to; `undefined` fields when it does not say. */
export interface Fence {
  readonly server: string | undefined;
  readonly epoch: bigint;
}

/**
 * The fence of a move that an error comes from: the shard is being handed over at this moment, or has been.
 * `undefined` when the error says nothing of the kind.
 */
export function fenceOf(error: unknown): Fence | undefined {
  if (!isFence(error)) return undefined;
  try {
    const { server, epoch } = JSON.parse((error as { detail?: string }).detail ?? '') as Record<string, string>;
    return { server, epoch: BigInt(epoch!) };
  } catch {
    return { server: undefined, epoch: 0n };
  }
}

/** Asks a server who owns one of its shards; without a right to the shard itself. */
export const OWNER_OF = 'select server, epoch::text from hypervault.owner_of($1)';

/** Whether an error may come from a move that took a right away or stopped a sequence: the shard's owner row tells. */
export function mayBeFenced(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === SQLSTATE.insufficientPrivilege || state === SQLSTATE.sequenceLimitExceeded;
}

/** Asks for the newest map for calls that were turned away; many at once ask once. */
export class MapFollower {
  readonly #source: ShardMapSource;
  #asking: Promise<ShardMap> | undefined;

  constructor(source: ShardMapSource) {
    this.#source = source;
  }

  /** The map as it is now: an answer asked for by another call before this one may be older than what this one met. */
  async refresh(): Promise<ShardMap> {
    await this.#asking?.catch(() => {});
    return this.#refresh();
  }

  #refresh(): Promise<ShardMap> {
    this.#asking ??= this.#source.refresh().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * The map as asked for, or the next one that the source has by itself: on a busy machine that comes long before. When
   * neither comes in time, the one there is.
   */
  async #asked(until: number): Promise<ShardMap> {
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), Math.max(0, until - Date.now()));
    const asked = this.#refresh();
    try {
      return await Promise.race([asked, this.#change(enough.signal)]);
    } finally {
      clearTimeout(timer);
      enough.abort();
      asked.catch(() => {});
    }
  }

  /** Waits for the next map that the source has by itself, at most this long. */
  async #changedWithin(ms: number): Promise<void> {
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), ms);
    await this.#change(enough.signal);
    clearTimeout(timer);
  }

  /** The next map that the source has by itself, or the one it has when that is enough. */
  #change(enough: AbortSignal): Promise<ShardMap> {
    return new Promise((resolve) => {
      const over = (): void => {
        forget();
        resolve(this.#source.current);
      };
      const forget = this.#source.changed(over);
      enough.addEventListener('abort', over, { once: true });
    });
  }

  /**
   * Waits until a call that met a fence on `server` can be sent again: the map names another server, or it names this one
   * and the fence is about to go, as on the new server in the moment before it is opened.
   *
   * @param until - `Date.now()` when the caller is told instead
   * @returns whether to send it again
   */
  async behindFence(server: string, shardId: number, fence: Fence, until: number): Promise<boolean> {
    for (let look = 0; ; look += 1) {
      // A map that came by itself meanwhile does as well as one that was asked for.
      if (this.#source.current.serverOf(shardId).name !== server) return true;
      const map = await this.#asked(until);
      if (map.serverOf(shardId).name !== server) return true;
      // A map that never changes will not name another server.
      if (map.epoch === 0n || Date.now() > until) return false;
      if (fence.server === server || (fence.server !== undefined && map.epoch > fence.epoch)) {
        await sleep(OPENING_MS, { what: 'a shard that is being opened' });
        return true;
      }
      await this.#changedWithin(LOOK_MS[Math.min(look, LOOK_MS.length - 1)]!);
    }
  }
}
