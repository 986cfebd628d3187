/**
 * Events on their way to one consumer: a bounded buffer that is read by `for await`.
 *
 * Whoever fills it either waits for room ({@link push}) or is told that there is none ({@link offer}). What is in the
 * buffer when it fails is given out first, then the failure is thrown, then it is over.
 */
export class EventQueue<Item> implements AsyncIterableIterator<Item> {
  readonly #capacity: number;
  readonly #onReturn: () => void;
  #items: Item[] = [];
  #at = 0;
  #readers: { resolve: (result: IteratorResult<Item>) => void; reject: (error: unknown) => void }[] = [];
  #writers: (() => void)[] = [];
  #over: { readonly error?: unknown } | undefined;

  /**
   * @param capacity - items kept at most, beyond the one list that was pushed when there was room
   * @param onReturn - the consumer left its loop
   */
  constructor(capacity: number, onReturn: () => void = () => {}) {
    this.#capacity = capacity;
    this.#onReturn = onReturn;
  }

  get size(): number {
    return this.#items.length - this.#at;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** A consumer waits for the next item. */
  get wanted(): boolean {
    return this.#readers.length > 0;
  }

  /** Adds items and waits until there is room for more. */
  async push(items: readonly Item[]): Promise<void> {
    this.#add(items);
    while (this.size >= this.#capacity && this.#over === undefined) {
      await new Promise<void>((resolve) => this.#writers.push(resolve));
    }
  }

  /** Whether so many items more can be offered. */
  hasRoom(count: number): boolean {
    return this.size === 0 || this.size + count <= this.#capacity;
  }

  /** Adds items if there is room for all of them. */
  offer(items: readonly Item[]): boolean {
    if (!this.hasRoom(items.length)) return false;
    this.#add(items);
    return true;
  }

  /** No more items come; the loop of the consumer ends, or throws the error, after those that are here. */
  end(error?: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = error === undefined ? {} : { error };
    if (this.size === 0) this.#finishReaders();
    this.#wakeWriters();
  }

  next(): Promise<IteratorResult<Item>> {
    if (this.size > 0) {
      const value = this.#items[this.#at]!;
      this.#at += 1;
      if (this.#at === this.#items.length) {
        this.#items = [];
        this.#at = 0;
      }
      if (this.#writers.length > 0 && this.size < this.#capacity / 2) this.#wakeWriters();
      return Promise.resolve({ done: false, value });
    }
    if (this.#over !== undefined) {
      const { error } = this.#over;
      this.#over = {};
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Item>> {
    this.#items = [];
    this.#at = 0;
    this.end();
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #add(items: readonly Item[]): void {
    if (this.#over !== undefined) return;
    let taken = 0;
    while (taken < items.length && this.size === 0 && this.#readers.length > 0) {
      this.#readers.shift()!.resolve({ done: false, value: items[taken]! });
      taken += 1;
    }
    if (this.#at > 1024) {
      this.#items = this.#items.slice(this.#at);
      this.#at = 0;
    }
    for (let i = taken; i < items.length; i++) this.#items.push(items[i]!);
  }

  #finishReaders(): void {
    for (const { resolve, reject } of this.#readers.splice(0)) {
      const error = this.#over?.error;
      this.#over = {};
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }

  #wakeWriters(): void {
    for (const wake of this.#writers.splice(0)) wake();
  }
}
