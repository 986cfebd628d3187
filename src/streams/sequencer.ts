import { failureKind } from './failure.ts';
import type { RunOptions, Shards } from './shards.ts';

/** A pass that gives so many positions is followed by another one. */
const MAX_EVENTS = 20_000;
/** After a failure the shard is looked at again so much later, and in any case by its readers' polls. */
const FAILED_MS = 250;

/**
 * A pass costs about 0.4 ms and a commit, whatever it gives: on a busy shard fewer and larger ones leave more to the
 * appends. So it rests this many times as long as the last one took, and no longer than {@link MAX_REST_MS}.
 */
const REST = 3;
/** With somebody at the end of the shard in this process. */
const REST_WATCHED = 0.5;
const MAX_REST_MS = 10;
/** With nobody at the end of the shard, in any process: whoever begins to read makes a pass first. */
const UNWATCHED_REST_MS = 100;
/**
 * When somebody else was at it, or a pass had nothing to give that nobody here waits for, other processes do the work:
 * this one waits longer each time, so that sixteen processes together pass about as often as one would.
 */
const MIN_YIELD_MS = 4;
const MAX_YIELD_MS = 32;
const MAX_YIELD_WATCHED_MS = 8;

/**
 * Runs the sequencing pass of one shard when there may be something to do: one at a time, one more when it was asked for
 * meanwhile, no two within `passIntervalMs`, and with a rest after each.
 */
export class Sequencer {
  readonly shardId: number;
  readonly #shards: Shards;
  readonly #onHead: (head: bigint, given: number) => void;
  readonly #isWatched: () => boolean;
  #running: Promise<void> | undefined;
  #pending = false;
  #timer: NodeJS.Timeout | undefined;
  #notBefore = 0;
  #yieldMs = 0;
  /** Somebody follows the shard, here or in another process, as far as known. */
  #watched = true;
  /** The last position given, as far as known. */
  head = 0n;
  passes = 0;

  constructor(
    shards: Shards,
    shardId: number,
    {
      onHead,
      isWatched,
    }: { readonly onHead: (head: bigint, given: number) => void; readonly isWatched: () => boolean },
  ) {
    this.#shards = shards;
    this.shardId = shardId;
    this.#onHead = onHead;
    this.#isWatched = isWatched;
  }

  /** There may be events without a position. */
  nudge(): void {
    if (this.#shards.closed) return;
    this.#pending = true;
    if (!this.#watched && this.#isWatched()) this.#hurry();
    if (this.#running !== undefined || this.#timer !== undefined) return;
    const wait = this.#notBefore - performance.now();
    if (wait <= 0) this.#start();
    else this.#later(wait);
  }

  /** One pass that began after this call; the position of the last event then. */
  async pass(options?: RunOptions): Promise<bigint> {
    for (;;) {
      const statement = this.#statement();
      const rows = await this.#shards.query('pass', this.shardId, statement, options);
      const { head, busy, more } = this.#took(rows[0]!);
      if (!busy && !more) return head;
      if (busy) await new Promise((resolve) => setTimeout(resolve, MIN_YIELD_MS));
    }
  }

  /** Stops; waits for the pass under way. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#pending = false;
    await this.#running;
  }

  /** The first one to follow the shard does not sit out a long rest. */
  #hurry(): void {
    this.#watched = true;
    this.#notBefore = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(): void {
    this.#pending = false;
    this.#running = this.#once().then((wait) => {
      this.#running = undefined;
      if (this.#shards.closed) return;
      if (wait > 0) this.#later(wait);
      else if (this.#pending) this.nudge();
    });
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#shards.closed) this.#start();
    }, ms);
  }

  /** @returns how long to wait before a further pass that is needed; 0 when none is */
  async #once(): Promise<number> {
    const started = performance.now();
    this.#notBefore = started + this.#shards.options.passIntervalMs;
    try {
      const [rows] = await this.#shards.send('pass', this.shardId, [this.#statement()]);
      const { given, busy, more } = this.#took(rows![0]!);
      if (more && !busy) {
        this.#pending = true;
        return 0;
      }
      this.#rest(performance.now() - started, busy || (given === 0 && !this.#isWatched()));
      // What we wrote may be too late for the pass under way.
      return busy ? this.#yieldMs : 0;
    } catch (error) {
      const kind = failureKind(error);
      this.#shards.options.logger?.debug({ shardId: this.shardId, error }, 'a sequencing pass failed');
      if (kind === 'moved') await this.#shards.isNewer(this.#shards.mapEpoch).catch(() => false);
      return kind === 'final' ? 0 : FAILED_MS;
    }
  }

  /** @param tookMs - how long the last pass took */
  #rest(tookMs: number, inVain: boolean): void {
    const watched = this.#isWatched();
    const mostMs = watched ? MAX_YIELD_WATCHED_MS : MAX_YIELD_MS;
    this.#yieldMs = inVain ? Math.min(Math.max(this.#yieldMs * 2, MIN_YIELD_MS), mostMs) : 0;
    const restMs = this.#watched ? Math.min(tookMs * (watched ? REST_WATCHED : REST), MAX_REST_MS) : UNWATCHED_REST_MS;
    this.#notBefore = Math.max(this.#notBefore, performance.now() + Math.max(restMs, this.#yieldMs));
  }

  #statement(): { text: string; values: unknown[] } {
    const schema = this.#shards.schema(this.shardId);
    const text = `select given, head, more, busy, watched from ${schema}.hv_sequence($1, $2)`;
    return { text, values: [MAX_EVENTS, this.#isWatched()] };
  }

  #took([given, head, more, busy, watched]: (string | null)[]): {
    given: number;
    head: bigint;
    more: boolean;
    busy: boolean;
  } {
    this.passes += 1;
    this.#watched = watched === 't' || this.#isWatched();
    const now = BigInt(head!);
    if (now > this.head) {
      this.head = now;
      this.#onHead(now, Number(given));
    }
    return { given: Number(given), head: now, more: more === 't', busy: busy === 't' };
  }
}
