/** Rings once, at the earliest of the moments it was set to. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** @param ms nothing happens without */
  within(ms: number | undefined): void {
    if (ms === undefined) return;
    const at = performance.now() + ms;
    if (this.#at <= at) return;
    this.clear();
    this.#at = at;
    // Timers may fire a little early; what is due must be so when it rings.
    this.#timer = setTimeout(() => {
      this.clear();
      this.#ring();
    }, ms + 1);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }
}
