/** What changed since the last look is mostly little: a session that takes longer for it is dead. */
const LIMIT_MS = 2_000;
/** It may be much all the same. */
const MAX_LIMIT_MS = 60_000;

/** How long a look at what has changed may take: twice as long after each one that ran into its limit. */
export class CatchUpLimit {
  #limitMs = LIMIT_MS;

  async within<T>(look: (limitMs: number) => Promise<T>): Promise<T> {
    const limitMs = this.#limitMs;
    const began = performance.now();
    try {
      const found = await look(limitMs);
      this.#limitMs = LIMIT_MS;
      return found;
    } catch (error) {
      const tooSlow = performance.now() - began >= limitMs;
      this.#limitMs = tooSlow ? Math.min(2 * limitMs, MAX_LIMIT_MS) : LIMIT_MS;
      throw error;
    }
  }
}
