import { ClosedError } from '../errors.ts';
import { Lane, type LentSession, type Row, type Statement } from './lane.ts';

export interface LaneSetOptions {
  /** Most sessions. */
  readonly max: number;
  /** Most pieces of work in flight on one session. */
  readonly depth: number;
  readonly prepare: boolean;
  /** A statement that takes longer has its session cut. */
  readonly requestTimeoutMs: number;
  readonly lend: () => Promise<LentSession>;
}

interface Work {
  readonly statements: readonly Statement[];
  readonly resolve: (rows: Row[][]) => void;
  readonly reject: (error: unknown) => void;
}

/** How long an idle session is kept before its pool gets it back. */
const IDLE_MS = 1_000;

/**
 * The sessions that one kind of work on one server travels over: taken from the pool as they are needed, given back when
 * idle. Work goes to the session with the fewest statements in flight; a further session is taken when all have some.
 */
export class LaneSet {
  readonly #options: LaneSetOptions;
  readonly #lanes = new Set<Lane>();
  readonly #waiting: Work[] = [];
  readonly #idleSince = new WeakMap<Lane, number>();
  #opening = 0;
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LaneSetOptions) {
    this.#options = options;
  }

  /** Whether a piece of work would be sent at once on a session with nothing in flight. */
  get hasIdle(): boolean {
    return this.#waiting.length === 0 && this.#lanes.size + this.#opening < this.#options.max
      ? true
      : [...this.#lanes].some((lane) => lane.inFlight === 0);
  }

  /** Runs statements in a row on one session. */
  run(statements: readonly Statement[]): Promise<Row[][]> {
    if (this.#closed) return Promise.reject(new ClosedError('the event store is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statements, resolve, reject });
      this.#dispatch();
    });
  }

  /** Waits for what is in flight, up to `deadlineMs`, then cuts it. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const { reject } of this.#waiting.splice(0)) reject(new ClosedError('the event store is closed'));
    const until = performance.now() + deadlineMs;
    while (this.#opening > 0 || [...this.#lanes].some((lane) => lane.inFlight > 0)) {
      if (performance.now() > until) for (const lane of this.#lanes) lane.cut();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all([...this.#lanes].map((lane) => this.#drop(lane)));
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const lane = this.#pick();
      if (lane === undefined) return;
      const { statements, resolve, reject } = this.#waiting.shift()!;
      lane
        .run(statements)
        .then(resolve, reject)
        .finally(() => this.#answered(lane));
    }
  }

  /** The least busy session; `undefined` when all are full, or when a new one is on its way. */
  #pick(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.#lanes) {
      if (!lane.usable) {
        if (lane.inFlight === 0) void this.#drop(lane);
        continue;
      }
      if (best === undefined || lane.inFlight < best.inFlight) best = lane;
    }
    if (best !== undefined && best.inFlight === 0) return best;
    const { max, depth } = this.#options;
    if (this.#lanes.size + this.#opening < max && this.#opening < this.#waiting.length) this.#open();
    return best !== undefined && best.inFlight < depth ? best : undefined;
  }

  #open(): void {
    this.#opening += 1;
    this.#options.lend().then(
      (session) => {
        this.#opening -= 1;
        const lane = new Lane(session, this.#options.prepare);
        this.#lanes.add(lane);
        this.#idleSince.set(lane, performance.now());
        this.#sweep ??= setInterval(() => this.#onSweep(), IDLE_MS / 4).unref();
        this.#dispatch();
      },
      (error: unknown) => {
        this.#opening -= 1;
        // With a session left the work goes on when that is free; else whoever waits has to be told.
        if ([...this.#lanes].some((lane) => lane.usable)) return;
        for (const { reject } of this.#waiting.splice(0)) reject(error);
      },
    );
  }

  #answered(lane: Lane): void {
    this.#idleSince.set(lane, performance.now());
    if (!lane.usable && lane.inFlight === 0) void this.#drop(lane);
    this.#dispatch();
  }

  #onSweep(): void {
    const now = performance.now();
    for (const lane of this.#lanes) {
      if (lane.busySince !== undefined) {
        if (now - lane.busySince > this.#options.requestTimeoutMs) lane.cut();
      } else if (now - this.#idleSince.get(lane)! > IDLE_MS) {
        void this.#drop(lane);
      }
    }
    if (this.#lanes.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  async #drop(lane: Lane): Promise<void> {
    if (this.#lanes.delete(lane)) await lane.leave().catch(() => {});
  }
}
