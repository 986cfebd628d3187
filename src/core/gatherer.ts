import type { Lane, PlannedStatement } from './lane.ts';
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
  #opening: Promise<void> | undefined;
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

  /** The statements on one shard that its lane has prepared. */
  preparedFor(shardId: number): PlannedStatement[] {
    return this.#holder.current()?.preparedFor(shardId) ?? [];
  }

  /** Opens the lane and plans statements on it, before calls come that would wait for that. Never fails. */
  async makeReady(statements: readonly PlannedStatement[]): Promise<void> {
    if (statements.length === 0) return;
    if (this.#holder.current() === undefined) await this.#openLane();
    const lane = this.#holder.current();
    if (lane === undefined) return;
    this.#holder.busy(lane);
    await lane.plan(statements);
    this.#holder.finished(lane);
  }

  /** Refuses calls that wait or are still to come; those on their way are answered. */
  close(error: Error): void {
    this.#closed = error;
    this.#refuseQueued(error);
  }

  #plan(): void {
    if (this.#flushPlanned || this.#opening !== undefined || this.#inFlight >= this.#depth) return;
    this.#flushPlanned = true;
    // After the microtasks: everybody who was woken by the last reply gets to ask for the next row first.
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    while (this.#queue.length > 0 && this.#inFlight < this.#depth) {
      const lane = this.#holder.current();
      if (lane === undefined) return void this.#openLane();
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

  #openLane(): Promise<void> {
    this.#opening ??= this.#holder.open().then(
      () => {
        this.#opening = undefined;
        this.#flush();
      },
      (error: unknown) => {
        this.#opening = undefined;
        this.#refuseQueued(error);
      },
    );
    return this.#opening;
  }

  #refuseQueued(error: unknown): void {
    const calls = this.#queue;
    this.#queue = [];
    this.#gathering.refuse(calls, error);
  }
}
