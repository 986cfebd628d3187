import type { RunOptions } from '../shards.ts';
import type { Delivery } from './delivery.ts';
import type { Exception, GroupSql, Settlement } from './group-sql.ts';
import type { ResolvedSettings } from './settings.ts';
import type { SliceState } from './slice-state.ts';

/** What was written down in one step. */
export interface Written {
  readonly settlement: Settlement;
  /** Events that had waited for a retry, whose rows are gone now. */
  readonly finished: readonly Finished[];
  readonly lost: readonly number[];
}

/** The position of a slice in which nothing happens is written down so often. */
const IDLE_SAVE_MS = 1_000;

/**
 * After writing down what was acknowledged this rests so many times as long as that took, and no longer than
 * {@link MAX_REST_MS}: on a busy consumer fewer and larger steps leave more to everybody else. Not when
 * `checkpointMaxCount` have come meanwhile: that many would come twice if it died now.
 */
const REST = 3;
const MAX_REST_MS = 20;

/** An event that waited for a retry and is done with. */
type Finished = Pick<Delivery, 'position' | 'key' | 'state'>;

/**
 * Gathers what one consumer settles in one shard, and writes it down: when there is enough of it, at once or after a rest,
 * else after `checkpointAfterMs`. One step is under way at a time; what comes meanwhile goes with the next.
 */
export class Settlements {
  readonly #sql: GroupSql;
  readonly #settings: () => ResolvedSettings;
  readonly #slices: () => Iterable<SliceState>;
  readonly #onWritten: (written: Written) => void;
  readonly #onFailed: (error: unknown) => void;
  readonly #options: RunOptions;
  #retries: [Delivery, Exception][] = [];
  #parks: [Delivery, Exception][] = [];
  #finished: Finished[] = [];
  #count = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rest: NodeJS.Timeout | undefined;
  #planned = false;
  #stopped = false;

  constructor(
    sql: GroupSql,
    options: RunOptions,
    hooks: {
      settings: () => ResolvedSettings;
      slices: () => Iterable<SliceState>;
      onWritten: (written: Written) => void;
      onFailed: (error: unknown) => void;
    },
  ) {
    this.#sql = sql;
    this.#options = options;
    this.#settings = hooks.settings;
    this.#slices = hooks.slices;
    this.#onWritten = hooks.onWritten;
    this.#onFailed = hooks.onFailed;
  }

  /** Nothing waits to be written, and nothing is being written. */
  get idle(): boolean {
    return this.#writing === undefined && this.#retries.length + this.#parks.length + this.#finished.length === 0;
  }

  /** An event of a slice is done with: the slice's position says so. */
  acked(): void {
    this.#count += 1;
    if (this.#planned || this.#writing !== undefined) return;
    const { checkpointMinCount, checkpointMaxCount } = this.#settings();
    if (this.#rest !== undefined) {
      if (this.#count >= checkpointMaxCount) this.#plan();
    } else if (this.#count >= checkpointMinCount) {
      this.#plan();
    } else {
      this.#later();
    }
  }

  /** The position moved on without an event: it is worth writing down now and then. */
  progressed(): void {
    this.#later();
  }

  /** An event that waited for a retry is done with: its row goes. */
  finish(delivery: Finished): void {
    this.#count += 1;
    this.#finished.push(delivery);
    this.#plan();
  }

  retry(delivery: Delivery, exception: Exception): void {
    this.#retries.push([delivery, exception]);
    this.#plan();
  }

  park(delivery: Delivery, exception: Exception): void {
    this.#count += 1;
    this.#parks.push([delivery, exception]);
    if (exception.slice === null) this.#finished.push(delivery);
    this.#plan();
  }

  /** Writes down all there is, also while the server takes its time. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#start();
    await this.#writing;
  }

  /** From here on only {@link flush} writes. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  /** With care an event is dealt out once the position before it is written down. */
  hurry(): void {
    this.#plan();
  }

  #plan(): void {
    if (this.#planned || this.#writing !== undefined) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#start();
    });
  }

  #later(): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#start();
    }, this.#settings().checkpointAfterMs);
  }

  #pause(tookMs: number): void {
    if (this.#stopped) return;
    this.#rest = setTimeout(
      () => {
        this.#rest = undefined;
        if (this.#count >= this.#settings().checkpointMinCount) this.#plan();
        else if (this.#count > 0) this.#later();
      },
      Math.min(tookMs * REST, MAX_REST_MS, this.#settings().checkpointAfterMs),
    );
  }

  /** Slices in which nothing happens had to wait; nothing else may ever come that has their positions written. */
  #followUp(): void {
    for (const slice of this.#slices()) if (slice.settledTo(true) > slice.savedTo) return this.#later();
  }

  #clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#rest);
    this.#timer = undefined;
    this.#rest = undefined;
  }

  #start(): void {
    if (this.#writing !== undefined) return;
    this.#clear();
    const retries = this.#retries.filter(isAlive);
    const parks = this.#parks.filter(isAlive);
    const finished = this.#finished;
    const count = this.#count;
    const started = performance.now();
    const slices: { slice: number; term: bigint; position: bigint }[] = [];
    for (const slice of this.#slices()) {
      const position = slice.settledTo(true);
      const named = [...retries, ...parks].some(([delivery]) => delivery.slice === slice);
      const moved = position > slice.savedTo && (slice.touched || started - slice.savedAt > IDLE_SAVE_MS);
      if (moved || named) slices.push({ slice: slice.slice, term: slice.term, position });
    }
    if (slices.length + retries.length + parks.length + finished.length + count === 0) return this.#followUp();
    this.#retries = [];
    this.#parks = [];
    this.#finished = [];
    this.#count = 0;
    const settlement: Settlement = {
      slices,
      retries: retries.map(([, exception]) => exception),
      parks: parks.map(([, exception]) => exception),
      finished: finished.map(({ position }) => position),
      count,
    };
    this.#writing = this.#sql.settle(settlement, this.#options).then(
      (lost) => {
        this.#writing = undefined;
        for (const [delivery] of [...retries, ...parks]) if (delivery.state === 'leaving') delivery.state = 'done';
        for (const delivery of finished) delivery.state = 'done';
        this.#onWritten({ settlement, finished, lost });
        if (!this.idle) return this.#plan();
        this.#pause(performance.now() - started);
        this.#followUp();
      },
      (error: unknown) => {
        this.#writing = undefined;
        this.#onFailed(error);
      },
    );
  }
}

/** Its slice is still this consumer's. */
function isAlive([delivery]: [Delivery, Exception]): boolean {
  return delivery.state !== 'lost';
}
