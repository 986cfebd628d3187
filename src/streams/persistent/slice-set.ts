import type { SliceLease } from './group-sql.ts';
import { SliceState } from './slice-state.ts';

/** The slices of one consumer in one shard. */
export class SliceSet {
  readonly #slices = new Map<number, SliceState>();
  readonly #onLost: (slice: SliceState) => void;

  /** @param onLost - the slice went to somebody else: nothing of it will be settled here */
  constructor(onLost: (slice: SliceState) => void) {
    this.#onLost = onLost;
  }

  [Symbol.iterator](): IterableIterator<SliceState> {
    return this.#slices.values();
  }

  get size(): number {
    return this.#slices.size;
  }

  get numbers(): number[] {
    return [...this.#slices.keys()];
  }

  /** The slice, if it is still held under this term. */
  get(number: number, term: bigint): SliceState | undefined {
    const slice = this.#slices.get(number);
    return slice?.term === term ? slice : undefined;
  }

  take(lease: SliceLease): SliceState {
    const slice = new SliceState(lease);
    this.#slices.set(slice.slice, slice);
    return slice;
  }

  /** Takes over what a beat says. @returns the new ones, not readable yet */
  follow(leases: readonly SliceLease[]): SliceState[] {
    const owned = new Map(leases.map((lease) => [lease.slice, lease]));
    const fresh: SliceState[] = [];
    for (const slice of [...this]) {
      const lease = owned.get(slice.slice);
      if (lease === undefined || lease.term !== slice.term) this.lose(slice);
      // For good: what was withheld of it is dealt out by its next owner, even when that is this consumer again.
      else if (lease.shed) slice.shed = true;
    }
    for (const lease of leases) {
      if (this.#slices.has(lease.slice) || lease.shed) continue;
      const slice = this.take(lease);
      slice.readable = false;
      fresh.push(slice);
    }
    return fresh;
  }

  lose(slice: SliceState): void {
    this.#slices.delete(slice.slice);
    this.#onLost(slice);
  }

  /** Nothing of it is in hand or unwritten any more. */
  drop(slice: SliceState): void {
    this.#slices.delete(slice.slice);
    slice.lost = true;
  }
}
