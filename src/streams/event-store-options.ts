import type { NewEventOptions } from './new-event.ts';
import type { PublishOptions } from './publish.ts';
import type { GetAllOptions, ReadOptions, StartPosition } from './reader.ts';

/** Where a stream is, when its shard was given with the appends. */
export interface InShard {
  readonly shardId?: number | undefined;
}

/** What `publishEvent` may be told: the event, and how to append it. */
export interface PublishEventOptions extends NewEventOptions, PublishOptions {}

export interface SubscribeOptions extends Omit<ReadOptions, 'signal'> {
  /** Events of one page; twice as many wait at most for a slow consumer. @default 100 */
  readonly batchSize?: number | undefined;
}

export interface SubscribeToOptions extends SubscribeOptions {
  /** The first event wanted: history from there on, then what is new. @default only what is new */
  readonly startFrom?: bigint | StartPosition | undefined;
}

export interface SubscribeToAllOptions
  extends SubscribeOptions,
    Pick<GetAllOptions, 'category' | 'consumerGroup' | 'shards'> {
  /** History from there on, then what is new. @default only what is new */
  readonly startFrom?: StartPosition | undefined;
}
