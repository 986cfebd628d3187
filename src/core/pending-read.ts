import type { ReadCall, ReadSource } from './gathered-reads.ts';

/** One row asked for by a caller. A class and not closures: hundreds of thousands of these are made a second. */
export class PendingRead implements ReadCall {
  readonly source: ReadSource;
  readonly id: string;
  retryUntil = 0;
  readonly #resolve: (row: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #settled: (well: boolean) => void;

  constructor(
    source: ReadSource,
    id: string,
    resolve: (row: unknown) => void,
    reject: (error: unknown) => void,
    settled: (well: boolean) => void,
  ) {
    this.source = source;
    this.id = id;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#settled = settled;
  }

  found(row: unknown): void {
    this.#settled(true);
    this.#resolve(row);
  }

  fail(error: unknown): void {
    this.#settled(false);
    this.#reject(error);
  }
}
