import type { LiveShards } from './live-shards.ts';
import { type AllFilter, type PlacedRow, readShardPage, type ShardPage } from './read-all.ts';
import type { ShardTail, TailMember } from './shard-tail.ts';
import type { Shards } from './shards.ts';

/** Takes rows in the order of their positions. */
export interface RowSink {
  /** Adds rows and waits for room. */
  push(rows: readonly PlacedRow[]): Promise<void>;
  /** Adds rows if there is room. */
  offer(rows: readonly PlacedRow[]): boolean;
}

/**
 * Follows one shard from a position on: in pages of its own while it is behind, from the shard's tail when it has caught
 * up. There is no seam to get wrong: its position is all its state, each page begins exactly where the last one ended.
 *
 * ```
 *             end of the shard, tail joined
 *  (behind) ────────────────────────────────► (live)
 *      ▲                                         │
 *      └──────── consumer is slow: left ◄────────┘
 * ```
 */
export class AllFeed implements TailMember {
  readonly #shards: Shards;
  readonly #tail: ShardTail;
  readonly #filter: AllFilter & { readonly matches: (row: PlacedRow) => boolean };
  readonly #sink: RowSink;
  readonly #stop: AbortSignal;
  readonly #batchSize: number;
  #position: bigint;
  #left: (() => void) | undefined;

  constructor(
    shards: Shards,
    live: LiveShards,
    {
      shardId,
      position,
      filter,
      sink,
      stop,
      batchSize,
    }: {
      shardId: number;
      position: bigint;
      filter: AllFilter & { readonly matches: (row: PlacedRow) => boolean };
      sink: RowSink;
      stop: AbortSignal;
      batchSize: number;
    },
  ) {
    this.#shards = shards;
    this.#tail = live.tail(shardId);
    this.#filter = filter;
    this.#sink = sink;
    this.#stop = stop;
    this.#batchSize = batchSize;
    this.#position = position;
  }

  get isLive(): boolean {
    return this.#left !== undefined;
  }

  /** Follows until the signal fires. Rejects when the shard can't be read for good. */
  async run(): Promise<void> {
    const { shardId } = this.#tail;
    while (!this.#stop.aborted) {
      const { matches: _, ...filter } = this.#filter;
      const page = await readShardPage(
        this.#shards,
        shardId,
        { after: this.#position, max: this.#batchSize, ...filter },
        { signal: this.#stop, until: Number.POSITIVE_INFINITY },
      );
      await this.#sink.push(page.rows);
      this.#position = page.scannedTo;
      if (page.isEnd && !this.#stop.aborted) await this.#follow();
    }
  }

  offer(after: bigint, page: ShardPage): void {
    if (page.scannedTo <= this.#position) return;
    // The tail began further on, when all its members had left: go back to reading.
    if (after > this.#position) return this.#leave();
    const rows = page.rows.filter((row) => row.pos > this.#position && this.#filter.matches(row));
    if (!this.#sink.offer(rows)) return this.#leave();
    this.#position = page.scannedTo;
  }

  /** Resolves when the tail was left, or could not be joined. */
  async #follow(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (!this.#tail.join(this, this.#position)) return resolve();
      this.#left = resolve;
      this.#stop.addEventListener('abort', this.#leave, { once: true });
    });
  }

  readonly #leave = (): void => {
    this.#stop.removeEventListener('abort', this.#leave);
    this.#tail.leave(this);
    this.#left?.();
    this.#left = undefined;
  };
}
