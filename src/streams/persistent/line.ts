import { resolveLinks } from '../links.ts';
import { RecordedEvent } from '../recorded-event.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { Dealer } from './dealer.ts';
import { type Delivery, type DeliveryOwner, exceptionOf, readyDelivery } from './delivery.ts';
import type { HeldRetries } from './held-retries.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { RetryLine } from './retry-line.ts';
import type { Settlements } from './settlements.ts';
import type { SliceEvent } from './slice-reader.ts';

/** What a line works with: the parts of its consumer. */
interface LineParts {
  readonly isOrdered: boolean;
  readonly keyOf: (streamId: string) => string;
  readonly retries: RetryLine;
  readonly held: HeldRetries;
  readonly settlements: Settlements;
  readonly ahead: ReadAhead;
  readonly dealer: Dealer;
  readonly options: RunOptions;
}

/** The events of one consumer in one shard between reading and dealing out. */
export class Line {
  readonly #owner: DeliveryOwner;
  readonly #shards: Shards;
  readonly #parts: LineParts;

  constructor(owner: DeliveryOwner, shards: Shards, parts: LineParts) {
    this.#owner = owner;
    this.#shards = shards;
    this.#parts = parts;
  }

  /** What was read of slices, without what was settled before. */
  deliveriesOf(events: readonly SliceEvent[]): Delivery[] {
    const deliveries: Delivery[] = [];
    for (const { slice, position, streamId, row } of events) {
      if (slice.lost || slice.done.has(position)) continue;
      // The first event behind the position is what killed the last consumer.
      const { attempts } = slice;
      slice.attempts = 0;
      const event = new RecordedEvent(row, this.#shards.epoch, { retryCount: attempts });
      const key = this.#parts.keyOf(streamId);
      deliveries.push(readyDelivery({ owner: this.#owner, event, position, eventId: row.id, key, attempts, slice }));
    }
    return deliveries;
  }

  /**
   * Puts events in line to be dealt out; parks what was tried too often, keeps back what must wait.
   *
   * @param done - called once they are in line, before anything else can happen
   */
  async add(deliveries: readonly Delivery[], first: boolean, done: () => void = () => {}): Promise<void> {
    const { isOrdered, retries, held, settlements, ahead, dealer } = this.#parts;
    const ready: Delivery[] = [];
    const lined = await this.#resolved(deliveries);
    done();
    for (const delivery of lined) {
      const { slice, attempts, key } = delivery;
      // Lost meanwhile, or to be given back: whoever has it next reads it.
      if (slice?.lost || slice?.shed) continue;
      if (slice === undefined) held.add(delivery);
      slice?.add(delivery);
      if (slice !== undefined && slice.careful > 0) settlements.hurry();
      if (attempts > this.#owner.settings.maxRetryCount)
        this.#owner.park(delivery, attempts, 'its consumers died of it, or it was tried too often');
      else if (slice !== undefined && isOrdered && retries.blocked.has(key)) this.keepBehind(delivery);
      else ready.push(delivery);
    }
    ahead.lined(ready.length);
    dealer.ready(ready, first);
  }

  /** Takes back events that were not dealt out yet. */
  withdraw(of: (delivery: Delivery) => boolean): Delivery[] {
    const withdrawn = this.#parts.dealer.withdraw(of);
    this.#parts.ahead.withdrawn(withdrawn.length);
    return withdrawn;
  }

  /** An earlier event of its stream waits for another try: this one waits behind it. */
  keepBehind(delivery: Delivery): void {
    const { attempts, key, slice } = delivery;
    delivery.state = 'leaving';
    // one that waited before is counted already
    if (slice !== undefined) this.#parts.retries.blocked.add(key);
    this.#parts.settlements.retry(delivery, exceptionOf(delivery, { attempts, delayMs: 0, reason: null }));
  }

  async #resolved(deliveries: readonly Delivery[]): Promise<readonly Delivery[]> {
    if (!this.#owner.settings.resolveLinks) return deliveries;
    const events = deliveries.map(({ event }) => event);
    const resolved = await resolveLinks(this.#shards, events, this.#parts.options);
    return resolved === events ? deliveries : deliveries.map((delivery, i) => ({ ...delivery, event: resolved[i]! }));
  }
}
