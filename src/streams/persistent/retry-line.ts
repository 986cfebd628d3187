import { RecordedEvent } from '../recorded-event.ts';
import type { RunOptions } from '../shards.ts';
import { BlockedKeys } from './blocked-keys.ts';
import { type Delivery, type DeliveryOwner, readyDelivery } from './delivery.ts';
import type { Claim, GroupSql } from './group-sql.ts';

/** An event was claimed that is gone: retention has removed it. */
export interface GoneEvent {
  readonly position: bigint;
  readonly key: string;
}

/** A shard writes a retry down a moment after it was asked for; its clock starts then. */
const CLOCK_SLACK_MS = 2;

/** What waits for another try, as one consumer in one shard knows it: which streams are held up, and when to look. */
export class RetryLine {
  readonly blocked = new BlockedKeys();
  readonly #owner: DeliveryOwner;
  readonly #sql: GroupSql;
  readonly #keyOf: (streamId: string) => string;
  readonly #epoch: number;
  #dues: number[] = [];

  constructor(owner: DeliveryOwner, sql: GroupSql, keyOf: (streamId: string) => string, epoch: number) {
    this.#owner = owner;
    this.#sql = sql;
    this.#keyOf = keyOf;
    this.#epoch = epoch;
  }

  /** When something is due next, in ms from now; `undefined` when nothing is known to wait. */
  get dueInMs(): number | undefined {
    if (this.#dues.length === 0) return undefined;
    return Math.max(0, Math.min(...this.#dues) - performance.now());
  }

  /** Something is due in so many ms. */
  expect(ms: number): void {
    const at = performance.now() + ms + (ms === 0 ? 0 : CLOCK_SLACK_MS);
    // One look finds all that is due by then: a handful of times is enough to remember.
    if (!this.#dues.some((due) => Math.abs(due - at) < CLOCK_SLACK_MS)) this.#dues.push(at);
  }

  /** A row of an event that waited is gone: what stood behind it is next. */
  finished(key: string): void {
    if (this.blocked.remove(key)) this.expect(0);
  }

  /** Learns which streams are held up in slices that are new here. */
  async load(slices: readonly number[], options: RunOptions): Promise<void> {
    for (const [streamId, count] of await this.#sql.waiting(slices, options)) {
      this.blocked.add(this.#keyOf(streamId), count);
    }
  }

  /** Takes over from the shard which streams are held up: people may have put something back. */
  async sync(slices: readonly number[], options: RunOptions, isCurrent: () => boolean): Promise<void> {
    const { changes } = this.blocked;
    const waiting = await this.#sql.waiting(slices, options);
    // What changed meanwhile may be missing in the answer, even when it is written down by now.
    if (isCurrent() && this.blocked.changes === changes)
      this.blocked.replace(waiting.map(([streamId, count]) => [this.#keyOf(streamId), count]));
  }

  /**
   * Takes events that are due.
   *
   * @param slices - of an ordered group, those of this consumer; null for roundRobin
   */
  async claim(
    slices: readonly number[] | null,
    leaseMs: number,
    max: number,
    options: RunOptions,
  ): Promise<{ deliveries: Delivery[]; gone: GoneEvent[] }> {
    const now = performance.now();
    this.#dues = this.#dues.filter((due) => due > now);
    const claims = await this.#sql.claim(slices, leaseMs, max, options);
    if (claims.length === 0) return { deliveries: [], gone: [] };
    const ids = claims.map(({ eventId }) => eventId);
    const rowOf = new Map((await this.#sql.events(ids, options)).map((row) => [row.id, row]));
    claims.sort((a, b) => (a.position < b.position ? -1 : 1));
    const deliveries: Delivery[] = [];
    const gone: GoneEvent[] = [];
    for (const claim of claims) {
      const key = this.#keyOfClaim(claim, slices !== null);
      const row = rowOf.get(claim.eventId);
      if (row === undefined) {
        gone.push({ position: claim.position, key });
        continue;
      }
      const { position, eventId, attempts } = claim;
      const event = new RecordedEvent(row, this.#epoch, { retryCount: attempts });
      deliveries.push(readyDelivery({ owner: this.#owner, event, position, eventId, key, attempts, slice: undefined }));
    }
    this.expect(0);
    return { deliveries, gone };
  }

  /** What people have put back was counted by nobody. */
  #keyOfClaim({ streamId }: Claim, ordered: boolean): string {
    const key = this.#keyOf(streamId);
    if (ordered && !this.blocked.has(key)) this.blocked.add(key);
    return key;
  }
}
