import { AllFeed } from './all-feed.ts';
import type { RowFilter } from './all-source.ts';
import { isLink, resolveLinks } from './links.ts';
import type { LiveShards } from './live-shards.ts';
import { mergeShards } from './merge-shards.ts';
import type { Position } from './position.ts';
import type { PlacedRow } from './read-all.ts';
import { RecordedEvent } from './recorded-event.ts';
import type { Shards } from './shards.ts';
import { Subscription } from './subscription.ts';

export interface AllSubscriptionRequest {
  readonly source: string;
  readonly shardIds: readonly number[];
  readonly filter: RowFilter;
  /** `undefined`: only what is new. */
  readonly startFrom: Position | undefined;
  readonly batchSize: number;
  readonly resolve: boolean;
  readonly onEnd: (subscription: Subscription) => void;
}

/**
 * Subscribes to all events, or to a category. History comes merged by time over the shards; what is new comes as each
 * shard has it, in the order of that shard.
 */
export async function subscribeToAllEvents(
  shards: Shards,
  live: LiveShards,
  { source, shardIds, filter, startFrom, batchSize, resolve, onEnd }: AllSubscriptionRequest,
): Promise<Subscription> {
  let position = startFrom ?? (await live.endOf(shardIds));
  const feeds: AllFeed[] = [];
  const subscription = new Subscription(source, {
    capacity: batchSize * 2,
    isLive: () => feeds.length > 0 && feeds.every(({ isLive }) => isLive),
    onEnd,
  });
  const { queue, stopped } = subscription;

  const eventsOf = (rows: readonly PlacedRow[]): RecordedEvent[] =>
    rows.map(({ shardId, pos, event }) => {
      position = position.with(shardId, pos);
      return new RecordedEvent(event, shards.epoch, { position });
    });
  const forever = { signal: stopped, until: Number.POSITIVE_INFINITY };
  // Links are looked up first. An event's position names every shard, so it is made in the moment in which the event comes
  // in line: made before, events of other shards that overtake would carry it, and say of these that they were read.
  const push = async (rows: readonly PlacedRow[]): Promise<void> => {
    if (!resolve || !rows.some(({ event }) => isLink(event))) return queue.push(eventsOf(rows));
    const links = rows.map(({ event }) => new RecordedEvent(event, shards.epoch));
    const resolved = await resolveLinks(shards, links, forever);
    const reached = (event: RecordedEvent, { link, event: target }: RecordedEvent): RecordedEvent =>
      link === undefined ? event : target.reachedBy(event);
    await queue.push(eventsOf(rows).map((event, i) => reached(event, resolved[i]!)));
  };
  const offer = (rows: readonly PlacedRow[]): boolean => {
    if (resolve && rows.some(({ event }) => isLink(event))) return false;
    if (!queue.hasRoom(rows.length)) return false;
    return queue.offer(eventsOf(rows));
  };

  const history = async (): Promise<void> => {
    const from = position;
    const request = { ...filter, backward: false, batchSize, from: (shardId: number) => from.of(shardId) };
    let rows: PlacedRow[] = [];
    for await (const row of mergeShards(shards, shardIds, request, forever)) {
      rows.push(row);
      if (rows.length < batchSize) continue;
      await push(rows);
      rows = [];
      if (stopped.aborted) return;
    }
    await push(rows);
  };

  subscription.start(async () => {
    // One shard needs no merge: it is in order already.
    if (startFrom !== undefined && shardIds.length > 1) await history();
    for (const shardId of shardIds) {
      const sink = { push, offer };
      feeds.push(
        new AllFeed(shards, live, { shardId, position: position.of(shardId), filter, sink, stop: stopped, batchSize }),
      );
    }
    await Promise.all(feeds.map((feed) => feed.run()));
  });
  return subscription;
}
