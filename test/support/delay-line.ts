// One direction of a proxied connection: hands on what it is given after a while, always in the order it came.
import type { Socket } from 'node:net';

interface Held {
  readonly due: number;
  /** `undefined` is the end of the stream. */
  readonly chunk: Buffer | undefined;
}

export class DelayLine {
  readonly #to: Socket;
  readonly #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(to: Socket) {
    this.#to = to;
    to.once('close', () => this.drop());
  }

  /** Whether something is still held back. */
  get busy(): boolean {
    return this.#held.length > 0;
  }

  /** Hands on after `delayMs`, and after all that came before. False: wait for `drain`. */
  write(chunk: Buffer, delayMs: number): boolean {
    if (delayMs === 0 && !this.busy) return this.#to.destroyed || this.#to.write(chunk);
    this.#hold(chunk, delayMs);
    return true;
  }

  end(delayMs: number): void {
    if (delayMs === 0 && !this.busy) this.#to.end();
    else this.#hold(undefined, delayMs);
  }

  /** Loses what is held back. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.length = 0;
  }

  #hold(chunk: Buffer | undefined, delayMs: number): void {
    const last = this.#held.at(-1)?.due ?? 0;
    this.#held.push({ due: Math.max(last, performance.now() + delayMs), chunk });
    this.#timer ??= setTimeout(() => this.#handOn(), delayMs);
  }

  #handOn(): void {
    this.#timer = undefined;
    while (this.#held[0] !== undefined && this.#held[0].due <= performance.now() && !this.#to.destroyed) {
      const { chunk } = this.#held.shift()!;
      if (chunk === undefined) this.#to.end();
      else this.#to.write(chunk);
    }
    const next = this.#held[0];
    if (next !== undefined) this.#timer = setTimeout(() => this.#handOn(), Math.max(1, next.due - performance.now()));
  }
}
