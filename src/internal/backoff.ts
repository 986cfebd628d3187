/** Shape of a back-off: first try at once, then `baseMs · 2^n` up to `maxMs`, each with jitter. */
export interface BackoffOptions {
  /** First delay. @default 50 */
  readonly baseMs?: number | undefined;
  /** Longest delay. @default 5000 */
  readonly maxMs?: number | undefined;
  /** Share of the delay that is random, 0 to 1. @default 0.5 */
  readonly jitter?: number | undefined;
}

/**
 * Counts failures and says how long to wait before the next try.
 * Jitter keeps a fleet of processes from knocking at a restarted server in step.
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #jitter: number;
  #failures = 0;

  constructor({ baseMs = 50, maxMs = 5_000, jitter = 0.5 }: BackoffOptions = {}) {
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
    this.#jitter = jitter;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Counts one more failure and returns the delay before the next try, in ms. */
  next(): number {
    const full = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return full * (1 - this.#jitter * Math.random());
  }

  reset(): void {
    this.#failures = 0;
  }
}
