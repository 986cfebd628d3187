import type { Datastore } from '../core/index.ts';
import type { WriteResult } from './append-call.ts';
import { ensureInstalled } from './ensure-installed.ts';
import { BadRequestError } from './errors.ts';
import type { InShard, PublishEventOptions, SubscribeToAllOptions, SubscribeToOptions } from './event-store-options.ts';
import { LiveShards } from './live-shards.ts';
import { NewEvent } from './new-event.ts';
import type { ResolvedStreamsOptions } from './options.ts';
import {
  type ConnectSubscriptionOptions,
  type CreateSettings,
  type GroupStats,
  Groups,
  groupStats,
  Parked,
  type ParkedEvent,
  type PersistentSettings,
  type PersistentSubscription,
  type ReplayOptions,
} from './persistent/index.ts';
import { ping } from './ping.ts';
import { Publisher, type PublishManyOptions, type PublishOptions } from './publish.ts';
import {
  type GetAllOptions,
  type GetOptions,
  type IterAllOptions,
  type IterOptions,
  Reader,
  type ReadOptions,
} from './reader.ts';
import type { RecordedEvent } from './recorded-event.ts';
import { type DeleteStreamOptions, Retention, type RetentionSettings, type ScavengeOptions } from './retention.ts';
import { Shards } from './shards.ts';
import { StreamHomes } from './stream-homes.ts';
import { parseSource } from './stream-name.ts';
import type { AllSlice, StreamSlice } from './stream-slice.ts';
import { Subscriber } from './subscriber.ts';
import type { Subscription } from './subscription.ts';

/**
 * An event store on the shards of a Datastore. One is enough for a process: any number of operations run at once.
 *
 * @example
 * ```ts
 * await using store = await connect({ datastore: db });
 * await store.publishEvent('ponies', 'PonyJumped', { body: { height: 10 } });
 * for await (const event of store.iter('ponies')) console.log(event.type, event.json());
 * ```
 */
export class EventStore {
  readonly #shards: Shards;
  readonly #homes: StreamHomes;
  readonly #live: LiveShards;
  readonly #publisher: Publisher;
  readonly #reader: Reader;
  readonly #subscriber: Subscriber;
  readonly #groups: Groups;
  readonly #parked: Parked;
  readonly #retention: Retention;
  readonly #onClose: () => Promise<void>;
  #closed: Promise<void> | undefined;

  /** @internal Made by {@link connect}. */
  constructor(datastore: Datastore, options: ResolvedStreamsOptions, onClose: () => Promise<void> = async () => {}) {
    this.#shards = new Shards(datastore, options);
    this.#homes = new StreamHomes(datastore);
    this.#live = new LiveShards(this.#shards);
    this.#publisher = new Publisher(this.#shards, this.#live);
    this.#reader = new Reader(this.#shards, this.#live);
    this.#subscriber = new Subscriber(this.#shards, this.#live, this.#homes);
    this.#groups = new Groups(this.#shards, this.#live);
    this.#parked = new Parked(this.#shards, this.#groups);
    this.#retention = new Retention(this.#shards, this.#live);
    this.#onClose = onClose;
  }

  /** Meets every server, and makes what streams need in shards that lack it. @internal */
  async open(): Promise<void> {
    await this.datastore.connect();
    await ensureInstalled(this.datastore, this.#shards);
  }

  /** The Datastore underneath. */
  get datastore(): Datastore {
    return this.#shards.datastore;
  }

  /** The shard a stream lives in, unless another one was given with its appends. */
  shardFor(stream: string): number {
    return this.#homes.of(stream);
  }

  /** Asks every server for a sign of life; the slowest answer, in seconds. */
  async ping({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<number> {
    this.#open();
    return ping(this.#shards, { signal });
  }

  /**
   * Appends one event.
   *
   * @throws WrongExpectedVersionError, StreamDeletedError, EventIdConflictError, EventTooLargeError, BadRequestError,
   *   OutcomeUnknownError when the server went away and did not come back in time
   */
  async publishEvent(stream: string, type: string, options: PublishEventOptions = {}): Promise<WriteResult> {
    const { id, body, metadata, ...how } = options;
    return this.publish(stream, [new NewEvent(type, { id, body, metadata })], how);
  }

  /**
   * Appends events to one stream: a list, all or none, or an async iterable, chunk by chunk.
   *
   * Idempotent by the ids of the events, for as long as they are stored: when all of them are in the stream already,
   * in a row and in this order, where `expectedVersion` allows, nothing is written and the result is that of the first
   * time, with `repeated`. When only some are, or elsewhere, it is an EventIdConflictError. Contents are not compared.
   *
   * @throws see {@link publishEvent}
   */
  async publish(stream: string, events: readonly NewEvent[], options?: PublishOptions): Promise<WriteResult>;
  async publish(
    stream: string,
    events: AsyncIterable<NewEvent>,
    options?: PublishManyOptions,
  ): Promise<WriteResult | undefined>;
  async publish(
    stream: string,
    events: readonly NewEvent[] | AsyncIterable<NewEvent>,
    options: PublishManyOptions = {},
  ): Promise<WriteResult | undefined> {
    this.#open();
    const shardId = this.#homes.resolve(stream, options);
    return this.#publisher.publish(stream, shardId, events, options);
  }

  /** One event. @throws StreamNotFoundError, StreamDeletedError, EventNotFoundError */
  async getEvent(stream: string, eventNumber: bigint, options: ReadOptions = {}): Promise<RecordedEvent> {
    this.#open();
    return this.#reader.event(this.#homes.resolve(stream, options), stream, eventNumber, options);
  }

  /**
   * A page of a stream. Backwards without `fromEvent` it begins with the last event.
   *
   * @throws StreamNotFoundError, StreamDeletedError
   */
  async get(stream: string, options: GetOptions = {}): Promise<StreamSlice> {
    this.#open();
    return this.#reader.slice(this.#homes.resolve(stream, options), stream, options);
  }

  /** A page of all events of the cluster, or of a category, merged by time over the shards. */
  async getAll(options: GetAllOptions = {}): Promise<AllSlice> {
    this.#open();
    return this.#reader.all(options);
  }

  /**
   * Every event of a stream to its end, read ahead by one page. `'order-*'` reads a category, `'$all'` everything.
   *
   * @throws from the first step: StreamNotFoundError, StreamDeletedError; later, after the events that were read: what
   *   went wrong with the rest
   */
  iter(stream: string, options: IterOptions = {}): AsyncGenerator<RecordedEvent, void, undefined> {
    this.#open();
    const source = parseSource(stream);
    if (source.kind === 'stream') return this.#reader.iterate(this.#homes.resolve(stream, options), stream, options);
    const { fromEvent, shardId: _, ...rest } = options;
    if (fromEvent !== undefined) throw new BadRequestError(`${JSON.stringify(stream)} has positions: use iterAll`);
    return this.iterAll(source.kind === 'all' ? rest : { ...rest, category: source.category });
  }

  /** Every event of the cluster, or of a category, to the end, merged by time over the shards. */
  iterAll(options: IterAllOptions = {}): AsyncGenerator<RecordedEvent, void, undefined> {
    this.#open();
    return this.#reader.iterateAll(options);
  }

  /**
   * Follows a stream, a category (`'order-*'`) or everything (`'$all'`).
   *
   * Without `startFrom` only what is new is given, and a stream that does not exist yet is waited for; with it history
   * comes first, then what is new, in order and once each.
   *
   * @throws StreamNotFoundError for a history that is not there; SubscriptionFailedError
   */
  async subscribeTo(stream: string, options: SubscribeToOptions = {}): Promise<Subscription> {
    this.#open();
    return this.#subscriber.follow(stream, options);
  }

  /** Follows all events of the cluster, or a category. See {@link subscribeTo}. */
  async subscribeToAll(options: SubscribeToAllOptions = {}): Promise<Subscription> {
    this.#open();
    return this.#subscriber.followAll(options);
  }

  /**
   * Deletes a stream: its events are hidden at once and removed by {@link scavenge}. An append brings it back, with
   * numbers going on, unless `hard`.
   *
   * @throws StreamNotFoundError, StreamDeletedError, WrongExpectedVersionError
   */
  async deleteStream(
    stream: string,
    options: DeleteStreamOptions & { readonly shardId?: number | undefined } = {},
  ): Promise<void> {
    this.#open();
    return this.#retention.deleteStream(this.#homes.resolve(stream, options), stream, options);
  }

  /** Sets what is kept of a stream, which need not exist yet. What is hidden is removed by {@link scavenge}. */
  async setRetention(
    stream: string,
    { shardId, ...settings }: RetentionSettings & { readonly shardId?: number | undefined },
  ): Promise<void> {
    this.#open();
    return this.#retention.set(this.#homes.resolve(stream, { shardId }), stream, settings);
  }

  /** Removes events that deletion or retention has hidden, in small transactions. @returns how many */
  async scavenge(options: ScavengeOptions = {}): Promise<number> {
    this.#open();
    return this.#retention.scavenge(options);
  }

  /**
   * Makes a persistent subscription to a stream, a category (`'order-*'`) or everything (`'$all'`).
   *
   * @throws SubscriptionCreationFailedError (reason `AlreadyExists`), BadRequestError
   */
  async createSubscription(name: string, stream: string, settings: CreateSettings & InShard = {}): Promise<void> {
    this.#open();
    const { shardId, ...rest } = settings;
    return this.#groups.create(name, stream, rest, shardId);
  }

  /**
   * Changes settings of a persistent subscription; its consumers follow within their lease.
   *
   * @throws SubscriptionFailedError (reason `NotFound`), BadRequestError
   */
  async updateSubscription(name: string, stream: string, settings: PersistentSettings & InShard): Promise<void> {
    this.#open();
    const { shardId, ...rest } = settings;
    return this.#groups.update(name, stream, rest, shardId);
  }

  /** Deletes a persistent subscription with what it has parked; its consumers are dropped within their lease. */
  async deleteSubscription(name: string, stream: string, { shardId }: InShard = {}): Promise<void> {
    this.#open();
    return this.#groups.delete(name, stream, shardId);
  }

  /**
   * Joins a persistent subscription as one of its consumers.
   *
   * @throws SubscriptionFailedError (reason `NotFound`), SubscriptionCreationFailedError (reason
   *   `SubscriberMaxCountReached`)
   */
  async connectSubscription(
    name: string,
    stream: string,
    options?: ConnectSubscriptionOptions,
  ): Promise<PersistentSubscription> {
    this.#open();
    return this.#groups.connect(name, stream, options);
  }

  /** What the persistent subscriptions are doing: lag, retries, parked events, consumers. */
  async listSubscriptions(): Promise<GroupStats[]> {
    this.#open();
    return groupStats(this.#shards, this.#shards.ids);
  }

  /** The same for one. @throws SubscriptionFailedError (reason `NotFound`) */
  async subscriptionStats(name: string, stream: string, { shardId }: InShard = {}): Promise<GroupStats> {
    this.#open();
    const shardIds = [...(await this.#groups.records(name, stream, shardId)).keys()];
    return (await groupStats(this.#shards, shardIds, { name, source: stream }))[0]!;
  }

  /** The events that a persistent subscription has put aside. */
  parked(name: string, stream: string, { shardId }: InShard = {}): AsyncGenerator<ParkedEvent, void, undefined> {
    this.#open();
    return this.#parked.list(name, stream, shardId);
  }

  /** Puts parked events back into work: all, the first so many, or those given. @returns how many */
  async replayParked(name: string, stream: string, options: ReplayOptions = {}): Promise<number> {
    this.#open();
    return this.#parked.replay(name, stream, options);
  }

  /** Removes parked events for good: all, the first so many, or those given. @returns how many */
  async discardParked(name: string, stream: string, options: ReplayOptions = {}): Promise<number> {
    this.#open();
    return this.#parked.discard(name, stream, options);
  }

  /** Counters of this store. */
  stats(): { readonly queuedAppends: number; readonly subscriptions: number } {
    return { queuedAppends: this.#publisher.queued, subscriptions: this.#subscriber.size };
  }

  /**
   * Ends every subscription and refuses new work; waits for what is in hand up to `closeTimeoutMs`. Everything that is
   * pending settles. A Datastore that was given stays open.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#groups.close();
    this.#subscriber.close();
    this.#publisher.close();
    this.#shards.beginClose();
    await this.#live.close();
    await this.#shards.close();
    await this.#onClose();
  }

  #open(): void {
    if (this.#closed !== undefined) throw this.#shards.closedError();
  }
}
