import type { ResolvedSettings } from './settings.ts';

/** How many events of a consumer lie ready, and whether that is enough. */
export class ReadAhead {
  readonly #isOrdered: boolean;
  #ready = 0;
  #dealtAt = performance.now();
  /** Events settled since the last reading. */
  #settled = 0;

  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered;
  }

  /** Events in line, not dealt out yet. */
  get ready(): number {
    return this.#ready;
  }

  lined(count: number): void {
    this.#ready += count;
  }

  dealt(): void {
    this.#ready -= 1;
    this.#dealtAt = performance.now();
  }

  withdrawn(count: number): void {
    this.#ready -= count;
  }

  settled(): void {
    this.#settled += 1;
  }

  hasRead(): void {
    this.#settled = 0;
  }

  room({ bufferSize }: ResolvedSettings): number {
    return Math.max(1, bufferSize - this.#ready);
  }

  /**
   * Whether to read on. A consumer of runs takes from what everybody shares, so it takes a run when it is asked for an
   * event, or ahead of that while it works the last one off.
   *
   * @param run - how long the last run may have been
   * @param asking - somebody waits for an event
   */
  wantsMore({ bufferSize }: ResolvedSettings, run: number, asking: boolean): boolean {
    if (this.#isOrdered) return this.#ready < bufferSize / 2;
    return this.#ready === 0 ? asking : this.#ready <= run / 4 && this.#settled >= run / 2;
  }

  /** Events lie ready, and nobody has asked for one in a long time. */
  isForgotten({ timeoutMs }: ResolvedSettings): boolean {
    return this.#ready > 0 && performance.now() - this.#dealtAt >= timeoutMs;
  }
}
