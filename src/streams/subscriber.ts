import { rowFilter } from './all-source.ts';
import { BadRequestError } from './errors.ts';
import type { SubscribeToAllOptions, SubscribeToOptions } from './event-store-options.ts';
import type { LiveShards } from './live-shards.ts';
import { Position } from './position.ts';
import { checkCount, checkNumber, parseStart } from './reader.ts';
import type { Shards } from './shards.ts';
import type { StreamHomes } from './stream-homes.ts';
import { ALL, parseSource } from './stream-name.ts';
import { subscribeToAllEvents } from './subscribe-all.ts';
import { subscribeToStream } from './subscribe-stream.ts';
import type { Subscription } from './subscription.ts';

/** Opens subscriptions, and keeps them until they end, or the store does. */
export class Subscriber {
  readonly #shards: Shards;
  readonly #live: LiveShards;
  readonly #homes: StreamHomes;
  readonly #open = new Set<Subscription>();
  #closed = false;

  constructor(shards: Shards, live: LiveShards, homes: StreamHomes) {
    this.#shards = shards;
    this.#live = live;
    this.#homes = homes;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Follows what a name stands for: a stream, a category, everything. */
  async follow(stream: string, options: SubscribeToOptions): Promise<Subscription> {
    const source = parseSource(stream);
    const { startFrom, batchSize = 100, ...rest } = options;
    if (source.kind !== 'stream') {
      if (typeof startFrom === 'bigint') {
        throw new BadRequestError(`${JSON.stringify(stream)}: startFrom is a position, 'beginning' or 'end'`);
      }
      return this.followAll({
        ...rest,
        batchSize,
        startFrom,
        ...(source.kind === 'category' && { category: source.category }),
      });
    }
    return this.#kept(
      await subscribeToStream(this.#shards, this.#live, {
        shardId: this.#homes.resolve(stream, options),
        stream,
        startFrom: firstNumber(startFrom),
        batchSize: checkCount('batchSize', batchSize),
        resolve: options.resolveLinks ?? true,
        correlationId: options.correlationId,
        onEnd: this.#ended,
      }),
    );
  }

  async followAll(options: SubscribeToAllOptions): Promise<Subscription> {
    const { category, consumerGroup, startFrom = 'end', batchSize = 100 } = options;
    return this.#kept(
      await subscribeToAllEvents(this.#shards, this.#live, {
        source: category === undefined ? ALL : `${category}-*`,
        shardIds: options.shards ?? this.#shards.ids,
        filter: rowFilter(category, consumerGroup),
        startFrom: startFrom === 'end' ? undefined : parseStart(startFrom),
        batchSize: checkCount('batchSize', batchSize),
        resolve: options.resolveLinks ?? true,
        onEnd: this.#ended,
      }),
    );
  }

  close(): void {
    this.#closed = true;
    for (const subscription of [...this.#open]) subscription.end(this.#shards.closedError());
  }

  readonly #ended = (subscription: Subscription): void => {
    this.#open.delete(subscription);
  };

  #kept(subscription: Subscription): Subscription {
    if (!subscription.isComplete) this.#open.add(subscription);
    if (this.#closed) subscription.end(this.#shards.closedError());
    return subscription;
  }
}

function firstNumber(startFrom: SubscribeToOptions['startFrom']): bigint | undefined {
  if (startFrom === undefined || startFrom === 'end') return undefined;
  if (startFrom === 'beginning') return 0n;
  if (startFrom instanceof Position || typeof startFrom === 'string') {
    throw new BadRequestError(`startFrom: a stream has numbers, not positions; give a bigint, 'beginning' or 'end'`);
  }
  return checkNumber('startFrom', startFrom);
}
