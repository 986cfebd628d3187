/** An XA transaction was prepared, or `held` is `null` and it came to its end. */
export interface PreparedChange {
  readonly xid: string;
  /** What it changed, in the form of the reader of its source. */
  readonly held: Buffer | null;
}

/**
 * The XA transactions that are prepared at the place of the log that was read last. The log has their rows long before it
 * says whether they stay; until then every server of the target keeps them beside its position.
 */
export class PreparedTransactions {
  #held: Map<string, Buffer>;
  #kept: Map<string, Buffer>;

  constructor(held: ReadonlyMap<string, Buffer> = new Map()) {
    this.#held = new Map(held);
    this.#kept = new Map(held);
  }

  find(xid: string): Buffer | null {
    return this.#held.get(xid) ?? null;
  }

  apply({ xid, held }: PreparedChange): void {
    if (held === null) this.#held.delete(xid);
    else this.#held.set(xid, held);
  }

  /** Keeps the present state, of the end of a batch that was handed over: reading may have to begin there again. */
  keep(): void {
    this.#kept = new Map(this.#held);
  }

  restore(): void {
    this.#held = new Map(this.#kept);
  }
}
