import { failureKind } from './failure.ts';
import type { RunOptions, Shards } from './shards.ts';

/** A pass that gives so many positions is followed by another one. */
const MAX_EVENTS = 20_000;
/** Somebody else is passing: what we wrote may be too late for that pass, so look again soon. */
const BUSY_MS = 4;
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
      if (busy) await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
    }
  }

  /** Stops; waits for the pass under way. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#pending = false;
    await this.#running;
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
      const { busy, more } = this.#took(rows![0]!);
      if (busy) return BUSY_MS;
      if (more) this.#pending = true;
      else this.#rest(started);
      return 0;
    } catch (error) {
      const kind = failureKind(error);
      this.#shards.options.logger?.debug({ shardId: this.shardId, error }, 'a sequencing pass failed');
      if (kind === 'moved') await this.#shards.isNewer(this.#shards.mapEpoch).catch(() => false);
      return kind === 'final' ? 0 : FAILED_MS;
    }
  }

  #rest(started: number): void {
    const now = performance.now();
    const rest = (now - started) * (this.#isWatched() ? REST_WATCHED : REST);
    this.#notBefore = Math.max(this.#notBefore, now + Math.min(rest, MAX_REST_MS));
  }

  #statement(): { text: string; values: unknown[] } {
    const schema = this.#shards.schema(this.shardId);
    return { text: `select given, head, more, busy from ${schema}.hv_sequence($1)`, values: [MAX_EVENTS] };
  }

  #took([given, head, more, busy]: (string | null)[]): { head: bigint; more: boolean; busy: boolean } {
    this.passes += 1;
    const now = BigInt(head!);
    if (now > this.head) {
      this.head = now;
      this.#onHead(now, Number(given));
    }
    return { head: now, more: more === 't', busy: busy === 't' };
  }
}
