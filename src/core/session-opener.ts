import type { Client } from 'pg';
import { Backoff } from '../internal/backoff.ts';

/** Longest wait between two tries while the server is away. */
const MAX_WAIT_MS = 100;
/** After a long outage a fleet knocks less often: one try in a fiftieth of the time it has lasted. */
const SHARE_OF_OUTAGE = 1 / 50;
const MAX_WAIT_AFTER_LONG_MS = 1_000;
/** A try that takes longer than this does not hold up the next one: its host may never answer. */
const PATIENCE_MS = 500;

/**
 * Opens the sessions of a pool. While the server is away one request tries for all, and when it gets through, all of
 * them go at once: every request with a back-off of its own would let the first who succeeds serve everybody, while the
 * others sleep on (a second and more after the server was back, measured).
 *
 * ```
 *                        a try failed
 *   well: all at once ─────────────────► away: one tries, after a wait; the others stand by
 *        ▲                                    │  failed: the next one, after a longer wait
 *        └──────── a session was opened ◄─────┘  silent: the next one after PATIENCE_MS, beside it
 * ```
 */
export class SessionOpener {
  readonly #open: () => Promise<Client>;
  readonly #onFailure: (error: unknown) => void;
  readonly #backoff = new Backoff({ baseMs: 20, maxMs: MAX_WAIT_MS });
  /** Told whether it is their turn to try. */
  readonly #standingBy = new Set<(turn: boolean) => void>();
  /** Since when the server is away (`performance.now()`). */
  #awaySince: number | undefined;
  #nextTry: NodeJS.Timeout | undefined;

  /** @param onFailure - told of every try that failed */
  constructor(open: () => Promise<Client>, onFailure: (error: unknown) => void) {
    this.#open = open;
    this.#onFailure = onFailure;
  }

  /** Opens a session, through an outage too; `undefined` when it is wanted no longer. Never rejects. */
  async open(isWanted: () => boolean): Promise<Client | undefined> {
    while (isWanted()) {
      const away = this.#awaySince !== undefined;
      if (away && !(await this.#turn())) continue;
      try {
        const client = await this.#open();
        this.#isBack();
        return client;
      } catch (error) {
        this.#onFailure(error);
        // Of those that set out together while all was well, the first to fail has said so for all.
        if (away || this.#awaySince === undefined) this.#isAway();
      }
    }
    return undefined;
  }

  /** Nobody waits any more: whoever stands by may leave. */
  dismiss(): void {
    for (const wake of [...this.#standingBy]) wake(false);
  }

  async #turn(): Promise<boolean> {
    const turn = this.#nextTry === undefined || (await this.#standBy());
    if (turn) this.#letNextTryAfter(PATIENCE_MS);
    return turn;
  }

  #standBy(): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = (turn: boolean): void => {
        this.#standingBy.delete(wake);
        resolve(turn);
      };
      this.#standingBy.add(wake);
    });
  }

  #letNextTryAfter(ms: number): void {
    clearTimeout(this.#nextTry);
    // Callers who wait keep the process; without any, nothing needs to be tried.
    this.#nextTry = setTimeout(() => {
      this.#nextTry = undefined;
      const [first] = this.#standingBy;
      first?.(true);
    }, ms).unref();
  }

  #isAway(): void {
    this.#awaySince ??= performance.now();
    const lasted = performance.now() - this.#awaySince;
    this.#letNextTryAfter(Math.max(this.#backoff.next(), Math.min(lasted * SHARE_OF_OUTAGE, MAX_WAIT_AFTER_LONG_MS)));
  }

  #isBack(): void {
    this.#awaySince = undefined;
    this.#backoff.reset();
    clearTimeout(this.#nextTry);
    this.#nextTry = undefined;
    this.dismiss();
  }
}
