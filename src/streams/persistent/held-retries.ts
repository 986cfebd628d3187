import type { RunOptions } from '../shards.ts';
import type { Dealer } from './dealer.ts';
import type { Delivery } from './delivery.ts';
import type { GroupSql } from './group-sql.ts';
import type { Line } from './line.ts';

/** A call whose session was lost may be at work in the server for so long, and take what nobody hears of. */
const LATE_CALL_MS = 60_000;
/** Those that are done with are forgotten whenever so many more have come. */
const PRUNE = 1_000;

/** The events waiting for a retry that one consumer in one shard has claimed: each has a lease of its own. */
export class HeldRetries {
  readonly #sql: GroupSql;
  #held = new Set<Delivery>();
  #pruneAt = PRUNE;
  /** Odd while a claim is under way. */
  #claims = 0;
  #repeated = 0;
  #doubtUntil = 0;

  constructor(sql: GroupSql) {
    this.#sql = sql;
  }

  /** Runs a claim, up to where its events are held here. */
  async claiming<T>(claim: () => Promise<T>): Promise<T> {
    this.#claims += 1;
    try {
      return await claim();
    } finally {
      this.#claims += 1;
    }
  }

  add(delivery: Delivery): void {
    this.#held.add(delivery);
    if (this.#held.size < this.#pruneAt) return;
    this.#prune();
    this.#pruneAt = this.#held.size + PRUNE;
  }

  /**
   * Asks the shard what is still held, when that is in doubt: after a beat that came late, or calls that were sent again.
   * What went to somebody else is given up here; what nobody here knows of goes to whoever asks next.
   */
  async takeStock(late: boolean, line: Line, dealer: Dealer, options: RunOptions): Promise<void> {
    const now = performance.now();
    if (this.#sql.repeated !== this.#repeated) {
      this.#repeated = this.#sql.repeated;
      this.#doubtUntil = now + LATE_CALL_MS;
    }
    if (!late && now > this.#doubtUntil) return;
    this.#prune();
    const before = [...this.#held];
    const claims = this.#claims;
    const positions = new Set(await this.#sql.held(options));
    const lost = new Set(before.filter((one) => isOpen(one) && !positions.has(one.position)));
    line.withdraw((delivery) => lost.has(delivery));
    for (const delivery of lost) delivery.state = 'lost';
    dealer.forget([...lost]);

    if (claims !== this.#claims || claims % 2 === 1) return;
    for (const { position } of before) positions.delete(position);
    if (positions.size > 0) await this.#sql.disown([...positions], options);
  }

  #prune(): void {
    this.#held = new Set([...this.#held].filter(({ state }) => state !== 'done' && state !== 'lost'));
  }
}

/** Not settled; and the transaction of its handler, which asks the shard itself, is not under way. */
function isOpen({ state, inTransaction }: Delivery): boolean {
  return (state === 'ready' || state === 'handed') && !inTransaction;
}
