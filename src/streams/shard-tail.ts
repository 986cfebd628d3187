import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import { readShardPage, type ShardPage } from './read-all.ts';
import type { Shards } from './shards.ts';

/** Who follows the end of a shard. */
export interface TailMember {
  /** All events of the shard after one position, up to `page.scannedTo`. Takes them at once, or leaves the tail. */
  offer(after: bigint, page: ShardPage): void;
}

const PAGE = 500;

/**
 * Reads the end of one shard once for all who follow it in this process.
 *
 * A member joins with its own position when it has read up to where the tail stands, or beyond: from there on it gets
 * every page. One that can't keep up leaves and reads by itself until it has caught up.
 */
export class ShardTail {
  readonly shardId: number;
  readonly #shards: Shards;
  readonly #watch: (wake: (head?: bigint) => void) => () => void;
  readonly #members = new Set<TailMember>();
  #at = 0n;
  #dirty = false;
  #reading: Promise<void> | undefined;
  #unwatch: (() => void) | undefined;

  /** @param watch - calls back when there may be more, until the returned function is called */
  constructor(shards: Shards, shardId: number, watch: (wake: (head?: bigint) => void) => () => void) {
    this.#shards = shards;
    this.shardId = shardId;
    this.#watch = watch;
  }

  get members(): number {
    return this.#members.size;
  }

  /** The position up to which members have everything. */
  get at(): bigint {
    return this.#at;
  }

  /**
   * Joins at a position up to which the member has read.
   * @returns `false` when the tail is further already: read again, and try again
   */
  join(member: TailMember, position: bigint): boolean {
    if (this.#members.size === 0) this.#at = position;
    if (this.#at > position) return false;
    this.#members.add(member);
    this.#unwatch ??= this.#watch((head) => this.#wake(head));
    this.#wake();
    return true;
  }

  leave(member: TailMember): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  async close(): Promise<void> {
    for (const member of [...this.#members]) this.leave(member);
    await this.#reading;
  }

  /** @param head - the last position given, when it is known */
  #wake(head?: bigint): void {
    if (this.#members.size === 0 || (head !== undefined && head <= this.#at)) return;
    this.#dirty = true;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
  }

  async #read(): Promise<void> {
    const backoff = new Backoff({ baseMs: 50, maxMs: 2_000 });
    while (this.#dirty && this.#members.size > 0 && !this.#shards.closed) {
      this.#dirty = false;
      const after = this.#at;
      let page: ShardPage;
      try {
        page = await readShardPage(this.#shards, this.shardId, { after, max: PAGE });
      } catch (error) {
        this.#shards.options.logger?.warn({ shardId: this.shardId, error }, 'the end of a shard could not be read');
        this.#dirty = true;
        await sleep(backoff.next(), { signal: this.#shards.closing }).catch(() => {});
        continue;
      }
      backoff.reset();
      // Someone may have begun anew at another place when all others had left.
      if (this.#at !== after) {
        this.#dirty = true;
        continue;
      }
      if (!page.isEnd) this.#dirty = true;
      if (page.scannedTo === after) continue;
      this.#at = page.scannedTo;
      for (const member of [...this.#members]) member.offer(after, page);
    }
  }
}
