/** Looks at the roles now and then while there is something to lose; stops by itself when there is not. */
export class RoleCheck {
  readonly #everyMs: number;
  readonly #needed: () => boolean;
  readonly #look: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param everyMs 0 switches it off */
  constructor(everyMs: number, { needed, look }: { needed: () => boolean; look: () => void }) {
    this.#everyMs = everyMs;
    this.#needed = needed;
    this.#look = look;
  }

  start(): void {
    if (this.#timer !== undefined || this.#everyMs === 0) return;
    this.#timer = setInterval(() => {
      if (this.#needed()) this.#look();
      else this.stop();
    }, this.#everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
