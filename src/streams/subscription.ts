import { EventQueue } from './event-queue.ts';
import type { Position } from './position.ts';
import type { RecordedEvent } from './recorded-event.ts';

/**
 * A volatile or catch-up subscription: what it has read is its own state, on the client; nothing is acknowledged.
 * It outlives lost sessions, restarts and failovers: it goes on behind the last event it gave out.
 *
 * @example
 * ```ts
 * await using live = await store.subscribeTo('ponies', { startFrom: 0n });
 * for await (const event of live.events) console.log(event.type);
 * ```
 */
export class Subscription {
  /** A stream, a category or `$all`. */
  readonly source: string;
  readonly #queue: EventQueue<RecordedEvent>;
  readonly #stop = new AbortController();
  readonly #isLive: () => boolean;
  readonly #onEnd: (subscription: Subscription) => void;
  #work: Promise<void> = Promise.resolve();
  #lastEventNumber: bigint | undefined;
  #position: Position | undefined;

  /** @internal */
  constructor(
    source: string,
    {
      capacity,
      isLive,
      onEnd,
    }: { capacity: number; isLive: () => boolean; onEnd: (subscription: Subscription) => void },
  ) {
    this.source = source;
    this.#isLive = isLive;
    this.#onEnd = onEnd;
    this.#queue = new EventQueue(capacity, () => void this.unsubscribe());
  }

  /** The events, in order, once each. Ends when the subscription is given up; throws when it is dropped. */
  get events(): AsyncIterableIterator<RecordedEvent> {
    return this;
  }

  /** The next event. */
  async next(): Promise<IteratorResult<RecordedEvent>> {
    const result = await this.#queue.next();
    if (!result.done) {
      this.#lastEventNumber = result.value.eventNumber;
      this.#position = result.value.position;
    }
    return result;
  }

  /** Leaving the loop gives the subscription up. */
  return(): Promise<IteratorResult<RecordedEvent>> {
    return this.#queue.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Number of the last event given out. */
  get lastEventNumber(): bigint | undefined {
    return this.#lastEventNumber;
  }

  /** Where the reading stands, of a category or `$all`: keep it, and start from it another time. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** History is read: what comes now is new. */
  get isLive(): boolean {
    return this.#isLive();
  }

  /** Nothing more will come. */
  get isComplete(): boolean {
    return this.#queue.over;
  }

  /** Gives the subscription up: the loop ends. */
  async unsubscribe(): Promise<void> {
    this.end();
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unsubscribe();
  }

  /** @internal */
  get queue(): EventQueue<RecordedEvent> {
    return this.#queue;
  }

  /** @internal */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs what fills the queue; when that fails, so does the subscription. @internal */
  start(work: () => Promise<void>): void {
    this.#work = work().then(
      () => {},
      (error: unknown) => this.end(this.#stop.signal.aborted ? undefined : error),
    );
  }

  /** @internal */
  end(error?: unknown): void {
    this.#queue.end(error);
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#onEnd(this);
  }
}
