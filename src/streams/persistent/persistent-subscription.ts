import type { Cursor, Datastore } from '../../core/index.ts';
import { ForeignEventError } from '../errors.ts';
import { RecordedEvent } from '../recorded-event.ts';
import type { Dealer } from './dealer.ts';
import { Dealing } from './dealing.ts';
import type { Delivery } from './delivery.ts';
import { leaseLost, settleInTransaction } from './exactly-once.ts';
import { checkNack, type NackAction, type NackOptions, refuse, tryAgain } from './nack.ts';
import type { ShardConsumer } from './shard-consumer.ts';

export interface PersistentSubscriptionFacts {
  readonly name: string;
  readonly source: string;
  readonly maxInFlight: number;
  readonly autoAck: boolean;
  readonly closeTimeoutMs: number;
  readonly onEnd: (subscription: PersistentSubscription) => void;
}

/**
 * One consumer of a persistent subscription. The group keeps what was worked off; each event goes to one consumer, at
 * least once, and comes again when it is not settled in time. Outlives lost sessions, restarts and failovers.
 *
 * @example
 * ```ts
 * const sub = await store.connectSubscription('mailer', 'ponies', { maxInFlight: 10 });
 * for await (const event of sub.events) {
 *   try {
 *     await mail(event);
 *     await sub.ack(event);
 *   } catch (error) {
 *     await sub.nack(event, 'retry', { delayMs: 1_000, reason: String(error) });
 *   }
 * }
 * ```
 */
export class PersistentSubscription {
  readonly name: string;
  /** A stream, a category or `$all`. */
  readonly source: string;
  readonly maxInFlight: number;
  readonly #datastore: Datastore;
  readonly #facts: PersistentSubscriptionFacts;
  readonly #dealing: Dealing;
  #consumers: readonly ShardConsumer[] = [];
  #previous: RecordedEvent | undefined;
  #lastEventNumber: bigint | undefined;
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(datastore: Datastore, facts: PersistentSubscriptionFacts) {
    this.#datastore = datastore;
    this.#facts = facts;
    this.name = facts.name;
    this.source = facts.source;
    this.maxInFlight = facts.maxInFlight;
    this.#dealing = new Dealing(facts.maxInFlight, (delivery) =>
      tryAgain(delivery, undefined, `not settled within ${delivery.owner.settings.timeoutMs} ms`),
    );
  }

  /** The events: each one once it may be dealt out. Ends when the subscription is closed; throws when it is dropped. */
  get events(): AsyncIterableIterator<RecordedEvent> {
    return this;
  }

  /** The next event. Waits while `maxInFlight` are in hand. */
  async next(): Promise<IteratorResult<RecordedEvent>> {
    if (this.#facts.autoAck && this.#previous !== undefined) await this.ack(this.#previous);
    const ready = this.#dealing.take();
    if (ready !== undefined) return { done: false, value: this.#giveOut(ready) };
    const asked = this.#dealing.next();
    if (this.#dealing.asking) for (const consumer of this.#consumers) consumer.asked();
    const result = await asked;
    return result.done ? result : { done: false, value: this.#giveOut(result.value) };
  }

  /** Leaving the loop closes the subscription: what is in hand goes back, uncounted. */
  async return(): Promise<IteratorResult<RecordedEvent>> {
    await this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Number of the last event given out. */
  get lastEventNumber(): bigint | undefined {
    return this.#lastEventNumber;
  }

  /** Events ready to be dealt out, and in hand. */
  stats(): { readonly ready: number; readonly inHand: number } {
    return { ready: this.#dealing.ready, inHand: this.#dealing.inHand };
  }

  /**
   * The event is worked off. Written down soon after, together with others ({@link flush} waits for that).
   *
   * Waits when this process was paused, or the server away, for longer than the lease, until it is known whose it is.
   *
   * @returns `false` when the event was too long in hand, or went to somebody else: it comes, or came, again
   * @throws ForeignEventError when it was not given out by this subscription
   */
  async ack(event: RecordedEvent): Promise<boolean> {
    const delivery = this.#delivery(event);
    if (this.#isDoubtful(delivery)) await delivery.owner.confirmed();
    if (!this.#isInHand(delivery)) return false;
    delivery.owner.settled(delivery);
    this.#dealing.drop(delivery);
    return true;
  }

  /**
   * The event could not be worked off.
   *
   * @returns `false` as with {@link ack}
   * @throws ForeignEventError
   */
  async nack(event: RecordedEvent, action: NackAction = 'retry', options: NackOptions = {}): Promise<boolean> {
    checkNack(action, options);
    if (action === 'stop') {
      const mine = this.#delivery(event).state === 'handed';
      await this.close();
      return mine;
    }
    const delivery = this.#delivery(event);
    if (this.#isDoubtful(delivery)) await delivery.owner.confirmed();
    if (!this.#isInHand(delivery)) return false;
    refuse(delivery, action, options);
    this.#dealing.drop(delivery);
    return true;
  }

  /**
   * Works an event off exactly once: `fn` runs in a transaction on the event's shard, in which the event is settled too.
   * Both are done, or neither. A transaction that the server rolled back, or that is found not to have been committed,
   * is run again; when `fn` throws, the event stays in hand.
   *
   * @throws LeaseLostError when the event went to somebody else meanwhile: nothing was done here
   */
  async transaction<T>(event: RecordedEvent, fn: (cursor: Cursor) => Promise<T>): Promise<T> {
    const delivery = this.#delivery(event);
    if (delivery.state !== 'handed') throw leaseLost(event);
    delivery.inTransaction = true;
    try {
      const { value, savedTo } = await settleInTransaction(this.#datastore, delivery, fn);
      if (this.#stateOf(delivery) === 'handed') delivery.owner.settledWithin(delivery, savedTo);
      this.#dealing.drop(delivery);
      return value;
    } finally {
      delivery.inTransaction = false;
    }
  }

  /** Waits until all that was settled is written down. */
  async flush(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.flush()));
  }

  /** Writes down what is settled, gives the rest back, and leaves the group. */
  close(): Promise<void> {
    return this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What the consumers in the shards work with. @internal */
  get dealer(): Dealer {
    const dealing = this.#dealing;
    return {
      get asking() {
        return dealing.asking;
      },
      ready: (deliveries, first) => this.#dealing.add(deliveries, first),
      withdraw: (of) => this.#dealing.withdraw(of),
      forget: (deliveries) => {
        for (const delivery of deliveries) this.#dealing.drop(delivery);
      },
      failed: (error) => void this.end(error),
    };
  }

  /** @internal */
  use(consumers: readonly ShardConsumer[]): void {
    this.#consumers = consumers;
  }

  /** Ends it, with an error for whoever asks for events. @internal */
  end(error?: unknown): Promise<void> {
    this.#closed ??= this.#close(error);
    return this.#closed;
  }

  async #close(error: unknown): Promise<void> {
    this.#dealing.end(error);
    const until = Date.now() + this.#facts.closeTimeoutMs;
    await Promise.all(this.#consumers.map((consumer) => consumer.close(until)));
    this.#facts.onEnd(this);
  }

  #isInHand({ state }: Delivery): boolean {
    return state === 'handed' && !this.#dealing.over;
  }

  /** This consumer was away for longer than its lease: only the shard knows whose the event is. */
  #isDoubtful(delivery: Delivery): boolean {
    return this.#isInHand(delivery) && !delivery.owner.isConfirmed;
  }

  #giveOut(delivery: Delivery): RecordedEvent {
    const { event } = delivery;
    delivery.givenBy = this;
    event.givenOutAs = delivery;
    this.#previous = event;
    this.#lastEventNumber = event.receivedEvent.eventNumber;
    return event;
  }

  #delivery(event: RecordedEvent): Delivery {
    const delivery = event instanceof RecordedEvent ? (event.givenOutAs as Delivery | undefined) : undefined;
    if (delivery?.givenBy === this) return delivery;
    throw new ForeignEventError(
      `this event was not given out by the subscription ${JSON.stringify(this.name)} of ${JSON.stringify(this.source)}; pass the event itself, as it came`,
      { stream: this.source },
    );
  }

  /** Read anew after a wait: the type checker can't know that it changes. */
  #stateOf(delivery: Delivery): Delivery['state'] {
    return delivery.state;
  }
}
