import type { Delivery } from './delivery.ts';
import type { SliceLease } from './group-sql.ts';

/** As many as hv_beat counts as "near where it began". */
const CAREFUL_EVENTS = 1_000;

/** A slice in the hands of this consumer: how far it was read, what of that is settled, how far that is written down. */
export class SliceState {
  readonly slice: number;
  readonly term: bigint;
  readonly upto: bigint | undefined;
  /** Settled inside transactions of handlers, before this consumer had the slice. */
  readonly done: ReadonlySet<bigint>;
  /** Everything up to here was read. */
  readTo: bigint;
  /** Everything up to here is written down as settled. */
  savedTo: bigint;
  /** Tries that the first event behind the position has cost: its consumers died. */
  attempts: number;
  /** So many events are dealt out one by one, each written down before the next: one of them may be deadly. */
  careful: number;
  /** Its events may be read. */
  readable = true;
  /** Something of it was read since the position was written down, and when that was. */
  touched = false;
  savedAt = performance.now();
  /** To be given back when nothing of it is in hand. */
  shed = false;
  lost = false;
  #deliveries: Delivery[] = [];
  #first = 0;

  constructor({ slice, position, done, upto, term, crashes }: SliceLease) {
    this.slice = slice;
    this.term = term;
    this.upto = upto;
    this.done = new Set(done);
    this.readTo = position;
    this.savedTo = position;
    // One death means nothing. After two the events are dealt out with care; who dies then names the culprit.
    this.attempts = crashes > 2 ? crashes : 0;
    this.careful = crashes > 1 ? CAREFUL_EVENTS : 0;
  }

  /** Events read and not yet behind the position. */
  get length(): number {
    return this.#deliveries.length - this.#first;
  }

  /** roundRobin: everything up to its end was read. */
  get isRead(): boolean {
    return this.upto !== undefined && this.readTo >= this.upto;
  }

  get handed(): number {
    let handed = 0;
    for (let i = this.#first; i < this.#deliveries.length; i++)
      if (this.#deliveries[i]!.state === 'handed') handed += 1;
    return handed;
  }

  add(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    this.touched = true;
  }

  /** What is not settled, or not yet written down as such. */
  get open(): Delivery[] {
    return this.#deliveries.slice(this.#first);
  }

  /**
   * Up to where everything is settled.
   *
   * @param withLeaving - count events whose rows are written in the same step
   * @param and - count this one too
   */
  settledTo(withLeaving: boolean, and?: Delivery): bigint {
    this.#prune();
    for (let i = this.#first; i < this.#deliveries.length; i++) {
      const delivery = this.#deliveries[i]!;
      const { state } = delivery;
      if (state === 'acked' || state === 'done' || (withLeaving && state === 'leaving') || delivery === and) continue;
      return delivery.position - 1n;
    }
    return this.readTo;
  }

  /** Its position is written down. */
  saved(position: bigint): void {
    if (position > this.savedTo) this.savedTo = position;
    this.savedAt = performance.now();
    this.touched = this.settledTo(false) > this.savedTo || this.length > 0;
  }

  /** Nothing of it will be settled here. @returns what was in hand */
  lose(): Delivery[] {
    this.lost = true;
    const handed = this.open.filter(({ state }) => state === 'handed');
    for (const delivery of this.open) if (delivery.state !== 'done') delivery.state = 'lost';
    this.#deliveries = [];
    this.#first = 0;
    return handed;
  }

  #prune(): void {
    while (this.#first < this.#deliveries.length) {
      const { state } = this.#deliveries[this.#first]!;
      if (state !== 'acked' && state !== 'done') break;
      this.#first += 1;
    }
    if (this.#first > 256 && this.#first * 2 > this.#deliveries.length) {
      this.#deliveries = this.#deliveries.slice(this.#first);
      this.#first = 0;
    }
  }
}
