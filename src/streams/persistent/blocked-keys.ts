/** Streams of which something waits for a retry: what follows is kept behind it. */
export class BlockedKeys {
  #counts = new Map<string, number>();
  #total = 0;
  #changes = 0;

  /** Grows with every change. */
  get changes(): number {
    return this.#changes;
  }

  /** Events that wait. */
  get total(): number {
    return this.#total;
  }

  get size(): number {
    return this.#counts.size;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  add(key: string, count = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
    this.#total += count;
    this.#changes += 1;
  }

  /** One of them is done with. @returns whether others wait behind it */
  remove(key: string): boolean {
    const count = this.#counts.get(key);
    if (count === undefined) return false;
    this.#total -= 1;
    this.#changes += 1;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
    return count > 1;
  }

  /** Takes over what the shard says. */
  replace(counts: readonly (readonly [key: string, count: number])[]): void {
    this.#counts = new Map();
    this.#total = 0;
    for (const [key, count] of counts) this.add(key, count);
  }
}
