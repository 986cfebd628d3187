import type { RunOptions } from '../shards.ts';
import type { Dealer } from './dealer.ts';
import type { Beat, GroupSql, SliceLease } from './group-sql.ts';
import type { Line } from './line.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { RetryLine } from './retry-line.ts';
import type { ResolvedSettings } from './settings.ts';
import type { Settlements, Written } from './settlements.ts';
import type { SliceSet } from './slice-set.ts';
import type { SliceState } from './slice-state.ts';

/** What a keeper of slices works with: the parts of its consumer. */
interface SliceKeeperParts {
  readonly isOrdered: boolean;
  readonly settings: () => ResolvedSettings;
  readonly slices: SliceSet;
  readonly retries: RetryLine;
  readonly settlements: Settlements;
  readonly line: Line;
  readonly ahead: ReadAhead;
  readonly dealer: Dealer;
  /** roundRobin: see SliceReader. */
  readonly cuts: () => number;
  /** There is a new slice to read. */
  readonly onFresh: () => void;
  /** A slice has gone. */
  readonly onGone: () => void;
  readonly options: RunOptions;
}

/** The coming and going of one consumer's slices: each is kept until it is through, is to be somebody else's, or is lost. */
export class SliceKeeper {
  readonly #sql: GroupSql;
  readonly #parts: SliceKeeperParts;
  /** roundRobin: what there was when the beat was sent. */
  #before: { readonly runs: ReadonlySet<SliceState>; readonly cuts: number } | undefined;

  constructor(sql: GroupSql, parts: SliceKeeperParts) {
    this.#sql = sql;
    this.#parts = parts;
  }

  /** A beat is about to be sent. */
  beforeBeat(): void {
    if (!this.#parts.isOrdered) this.#before = { runs: new Set(this.#parts.slices), cuts: this.#parts.cuts() };
  }

  /** Takes over what a beat says of slices. */
  async follow({ slices: leases, retryInMs }: Beat): Promise<void> {
    if (!this.#parts.isOrdered) {
      this.#followRuns(leases);
      return this.#giveBackIdle();
    }
    const { slices, retries, settlements, options } = this.#parts;
    const fresh = slices.follow(leases);
    const { idle } = settlements;
    if (fresh.length > 0) {
      // Nothing of a slice is dealt out before it is known which of its streams are held up.
      await retries.load(
        fresh.map(({ slice }) => slice),
        options,
      );
      for (const slice of fresh) slice.readable = true;
      this.#parts.onFresh();
    } else if (idle && (retries.blocked.size > 0 || retryInMs !== undefined)) {
      await retries.sync(slices.numbers, options, () => settlements.idle);
    }
    for (const slice of [...slices]) {
      if (!slice.shed) continue;
      this.#parts.line.withdraw((delivery) => delivery.slice === slice);
      this.#passed(slice);
    }
  }

  /** One event of a slice is settled: where care is needed it is written down before the next one is dealt out. */
  settled(slice: SliceState): void {
    this.#parts.ahead.settled();
    if (slice.careful > 0) {
      slice.careful -= 1;
      void this.#parts.settlements.flush();
    }
    this.#passed(slice);
  }

  /** Positions were written down, except of slices that turned out to be lost. */
  written({ settlement, lost }: Written): void {
    const { slices } = this.#parts;
    const termOf = new Map(settlement.slices.map(({ slice, term }) => [slice, term]));
    for (const number of lost) {
      const slice = slices.get(number, termOf.get(number)!);
      if (slice !== undefined) slices.lose(slice);
    }
    for (const { slice: number, term, position } of settlement.slices) {
      const slice = slices.get(number, term);
      if (slice === undefined) continue;
      slice.saved(position);
      this.#passed(slice);
    }
  }

  /** The slice went to somebody else: so do its events, also those in hand. */
  lost(slice: SliceState): void {
    this.#parts.line.withdraw((delivery) => delivery.slice === slice);
    this.#parts.dealer.forget(slice.lose());
  }

  /** Runs that went to somebody else, and runs whose cutting nobody here has heard of. */
  #followRuns(leases: readonly SliceLease[]): void {
    if (this.#before === undefined) return;
    const { slices, cuts, onFresh } = this.#parts;
    const owned = new Map(leases.map((lease) => [lease.slice, lease]));
    for (const run of this.#before.runs) {
      if (slices.get(run.slice, run.term) === run && owned.get(run.slice)?.term !== run.term) slices.lose(run);
    }
    if (this.#before.cuts !== cuts() || this.#before.cuts % 2 === 1) return;
    const known = new Set([...this.#before.runs].map(({ slice, term }) => `${slice} ${term}`));
    for (const lease of leases) {
      if (known.has(`${lease.slice} ${lease.term}`) || slices.get(lease.slice, lease.term) !== undefined) continue;
      slices.take(lease);
      onFresh();
    }
  }

  /** Runs whose events nobody has asked for in a long time go to those who do. */
  #giveBackIdle(): void {
    const { ahead, line, slices, settings } = this.#parts;
    if (!ahead.isForgotten(settings())) return;
    const mine = new Set(slices);
    line.withdraw(({ slice }) => slice !== undefined && mine.has(slice));
    for (const slice of mine) {
      slice.shed = true;
      this.#passed(slice);
    }
  }

  /** Something of a slice was settled or written: it may be through, or free to go to somebody else. */
  #passed(slice: SliceState): void {
    if (slice.lost || !(slice.isRead || slice.shed)) return;
    const through = slice.isRead && slice.savedTo >= slice.upto!;
    const free = slice.shed && slice.handed === 0 && slice.savedTo >= slice.settledTo(true);
    if (slice.shed && slice.handed === 0 && !free) {
      // Only its position keeps it here, and nothing else may ever come that has it written.
      slice.touched = true;
      this.#parts.settlements.progressed();
    }
    if (!through && !free) return;
    this.#parts.slices.drop(slice);
    if (!through) this.#sql.release([slice.slice], false, this.#parts.options).catch(() => {});
    this.#parts.onGone();
  }
}
