import { StreamNotFoundError, SubscriptionFailedError } from './errors.ts';
import { isLink, resolveLinks } from './links.ts';
import type { LiveShards } from './live-shards.ts';
import { readStreamPage, type StreamPage } from './read-stream.ts';
import type { Shards } from './shards.ts';
import { StreamFeed } from './stream-feed.ts';
import { Subscription } from './subscription.ts';

export interface StreamSubscriptionRequest {
  readonly shardId: number;
  readonly stream: string;
  /** The first number wanted; `undefined`: only what is new. */
  readonly startFrom: bigint | undefined;
  readonly batchSize: number;
  readonly resolve: boolean;
  readonly correlationId: string | undefined;
  readonly onEnd: (subscription: Subscription) => void;
}

/**
 * Subscribes to one stream. Volatile (no start) it resolves when the end of the stream is known, and waits for a stream
 * that does not exist yet; with a start it resolves when the first page was read, and the stream must exist.
 */
export async function subscribeToStream(
  shards: Shards,
  live: LiveShards,
  { shardId, stream, startFrom, batchSize, resolve, correlationId, onEnd }: StreamSubscriptionRequest,
): Promise<Subscription> {
  const at = startFrom ?? 0n;
  const first = await readStreamPage(shards, shardId, { stream, from: at, max: 1, backward: false });
  if (startFrom !== undefined && (first === undefined || (first.version < 0n && first.deleted === undefined))) {
    throw new StreamNotFoundError(stream, { correlationId });
  }
  const deleted = deletedError(first, stream, correlationId);
  if (deleted !== undefined) throw deleted;

  const subscription = new Subscription(stream, {
    capacity: batchSize * 2,
    isLive: () => feed.isLive,
    onEnd,
  });
  const { queue, stopped } = subscription;
  const forever = { signal: stopped, until: Number.POSITIVE_INFINITY };
  const feed = new StreamFeed(shards, live, {
    shardId,
    stream,
    next: startFrom ?? (first === undefined ? 0n : first.version + 1n),
    batchSize,
    stop: stopped,
    sink: {
      push: async (events) => queue.push(resolve ? await resolveLinks(shards, events, forever) : events),
      // A link is looked up, which takes time: let it come by a page.
      offer: (events) => !(resolve && events.some(isLink)) && queue.offer(events),
    },
    onPage: (page) => {
      const error = deletedError(page, stream, correlationId);
      if (error !== undefined) subscription.end(error);
    },
  });
  subscription.start(() => feed.run());
  return subscription;
}

function deletedError(
  page: StreamPage | undefined,
  stream: string,
  correlationId: string | undefined,
): SubscriptionFailedError | undefined {
  if (page?.deleted !== 'hard') return undefined;
  return new SubscriptionFailedError(`the stream ${JSON.stringify(stream)} was deleted for good`, 'StreamDeleted', {
    stream,
    correlationId,
  });
}
