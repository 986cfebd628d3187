import type { Lane } from './lane.ts';
import type { LaneHolder } from './lane-holder.ts';

/** Work of one kind that is gathered: how a batch travels over a lane. */
export interface Gathering<Call> {
  /** Sends the calls; `finished` is called once when every reply is in. Each call settles by itself. */
  send(lane: Lane, calls: Call[], finished: () => void): void;
  /** No lane could be had: the calls were never sent. */
  refuse(calls: Call[], error: unknown): void;
}

/**
 * Gathers concurrent calls into batches ("natural batching").
 *
 * ```
 *            add                     a lane, and fewer than `depth` batches in flight
 *  (idle) ────────► queued calls ────────────────────────────────────────────────────► batch in flight
 *                       ▲                                                                     │
 *                       └──────────────── more were added meanwhile ◄──── all replies in ─────┘
 * ```
 *
 * A call is sent as soon as the current turn of the event loop has ended when nothing is in flight, so one caller alone
 * pays no delay; while round trips are under way calls gather, so 256 callers share a few of them.
 */
export class Gatherer<Call> {
  readonly #holder: LaneHolder;
  readonly #gathering: Gathering<Call>;
  readonly #maxBatch: number;
  readonly #depth: number;
  #queue: Call[] = [];
  #inFlight = 0;
  #flushPlanned = false;
  #opening = false;
  #closed: Error | undefined;
  /** Batches sent, and calls in them, since the start. */
  batches = 0;
  calls = 0;

  constructor(
    holder: LaneHolder,
    gathering: Gathering<Call>,
    { maxBatch, depth }: { maxBatch: number; depth: number },
  ) {
    this.#holder = holder;
    this.#gathering = gathering;
    this.#maxBatch = maxBatch;
    this.#depth = depth;
  }

  /** Calls that wait to be sent. */
  get queued(): number {
    return this.#queue.length;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  add(call: Call): void {
    if (this.#closed !== undefined) return this.#gathering.refuse([call], this.#closed);
    this.#queue.push(call);
    this.#plan();
  }

  /** Refuses calls that wait or are still to come; those on their way are answered. */
  close(error: Error): void {
    this.#closed = error;
    this.#refuseQueued(error);
  }

  #plan(): void {
    if (this.#flushPlanned || this.#opening || this.#inFlight >= this.#depth) return;
    this.#flushPlanned = true;
    // After the microtasks: everybody who was woken by the last reply gets to ask for the next row first.
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    while (this.#queue.length > 0 && this.#inFlight < this.#depth) {
      const lane = this.#holder.current();
      if (lane === undefined) return this.#openLane();
      const calls = this.#take();
      this.#inFlight += 1;
      this.batches += 1;
      this.calls += calls.length;
      this.#holder.busy(lane);
      let open = true;
      this.#gathering.send(lane, calls, () => {
        if (!open) return;
        open = false;
        this.#inFlight -= 1;
        this.#holder.finished(lane);
        if (this.#queue.length > 0) this.#plan();
      });
    }
  };

  #take(): Call[] {
    if (this.#queue.length <= this.#maxBatch) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    const calls = this.#queue.slice(0, this.#maxBatch);
    this.#queue = this.#queue.slice(this.#maxBatch);
    return calls;
  }

  #openLane(): void {
    if (this.#opening) return;
    this.#opening = true;
    this.#holder.open().then(
      () => {
        this.#opening = false;
        this.#flush();
      },
      (error: unknown) => {
        this.#opening = false;
        this.#refuseQueued(error);
      },
    );
  }

  #refuseQueued(error: unknown): void {
    const calls = this.#queue;
    this.#queue = [];
    this.#gathering.refuse(calls, error);
  }
}
