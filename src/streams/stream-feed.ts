import type { LiveShards } from './live-shards.ts';
import type { ShardPage } from './read-all.ts';
import { readStreamPage, type StreamPage } from './read-stream.ts';
import { type EventRow, RecordedEvent } from './recorded-event.ts';
import type { ShardTail, TailMember } from './shard-tail.ts';
import type { Shards } from './shards.ts';

/** Takes events in the order of their numbers. */
export interface EventSink {
  push(events: readonly RecordedEvent[]): Promise<void>;
  offer(events: readonly RecordedEvent[]): boolean;
}

/**
 * Follows one stream from an event number on. Numbers of a stream have no gaps, so what comes from the tail is checked
 * against the number that must come next: a lower one was read already, a higher one says that something has to be read.
 *
 * ```
 *  (reading) ── end of the stream, and nothing came meanwhile ──► (live)
 *      ▲                                                            │
 *      └─────────── a gap, or the consumer is slow ◄────────────────┘
 * ```
 * The tail is joined before the reading, so what is written after the last page always comes by it.
 */
export class StreamFeed implements TailMember {
  readonly #shards: Shards;
  readonly #tail: ShardTail;
  readonly #live: LiveShards;
  readonly #stream: string;
  readonly #sink: EventSink;
  readonly #stop: AbortSignal;
  readonly #batchSize: number;
  readonly #onPage: (page: StreamPage | undefined) => void;
  #next: bigint;
  #isLive = false;
  #dirty = false;
  #wake: (() => void) | undefined;

  constructor(
    shards: Shards,
    live: LiveShards,
    {
      shardId,
      stream,
      next,
      sink,
      stop,
      batchSize,
      onPage,
    }: {
      shardId: number;
      stream: string;
      next: bigint;
      sink: EventSink;
      stop: AbortSignal;
      batchSize: number;
      onPage: (page: StreamPage | undefined) => void;
    },
  ) {
    this.#shards = shards;
    this.#live = live;
    this.#tail = live.tail(shardId);
    this.#stream = stream;
    this.#next = next;
    this.#sink = sink;
    this.#stop = stop;
    this.#batchSize = batchSize;
    this.#onPage = onPage;
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  /** Follows until the signal fires. Rejects when the stream can't be read for good. */
  async run(): Promise<void> {
    const { shardId } = this.#tail;
    try {
      await this.#join();
      while (!this.#stop.aborted) {
        this.#dirty = false;
        const page = await readStreamPage(
          this.#shards,
          shardId,
          { stream: this.#stream, from: this.#next, max: this.#batchSize, backward: false },
          { signal: this.#stop, until: Number.POSITIVE_INFINITY },
        );
        this.#onPage(page);
        const last = page?.rows.at(-1);
        if (last !== undefined) this.#next = last.number + 1n;
        else if (page !== undefined && page.version >= this.#next) this.#next = page.version + 1n;
        if (page !== undefined) await this.#sink.push(page.rows.map((row) => this.#recorded(row)));
        if (page?.rows.length === this.#batchSize) continue;
        await this.#untilDirty();
      }
    } finally {
      this.#tail.leave(this);
    }
  }

  offer(_after: bigint, page: ShardPage): void {
    if (!this.#isLive) {
      this.#dirty ||= page.rows.some(({ event }) => event.stream === this.#stream);
      return;
    }
    const events: RecordedEvent[] = [];
    for (const { event } of page.rows) {
      if (event.stream !== this.#stream || event.number < this.#next) continue;
      if (event.number > this.#next + BigInt(events.length)) return this.#readAgain();
      events.push(this.#recorded(event));
    }
    if (events.length === 0) return;
    if (!this.#sink.offer(events)) return this.#readAgain();
    this.#next += BigInt(events.length);
  }

  /** Where the tail stands does not matter to a stream, only what comes from now on. */
  async #join(): Promise<void> {
    const followed = this.#tail.members > 0;
    const patience = { signal: this.#stop, until: Number.POSITIVE_INFINITY };
    const end = followed ? 0n : await this.#live.sequencer(this.#tail.shardId).pass(patience);
    if (this.#stop.aborted) return;
    this.#tail.join(this, this.#tail.members > 0 ? this.#tail.at : end);
  }

  #recorded(row: EventRow): RecordedEvent {
    return new RecordedEvent(row, this.#shards.epoch);
  }

  async #untilDirty(): Promise<void> {
    if (this.#dirty || this.#stop.aborted) return;
    this.#isLive = true;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stop.addEventListener('abort', this.#readAgain, { once: true });
    });
  }

  readonly #readAgain = (): void => {
    this.#isLive = false;
    this.#stop.removeEventListener('abort', this.#readAgain);
    this.#wake?.();
    this.#wake = undefined;
  };
}
