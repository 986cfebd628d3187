import { type AllFilter, type PlacedRow, readShardPage, type ShardPage } from './read-all.ts';
import type { RunOptions, Shards } from './shards.ts';

interface Source {
  readonly shardId: number;
  page: ShardPage;
  at: number;
  /** Milliseconds of the event it stands at. */
  time: number;
  following: Promise<ShardPage> | undefined;
}

export interface MergeRequest extends AllFilter {
  /** Where each shard begins: after it (forwards), before it (backwards; `undefined`: at the end). */
  readonly from: (shardId: number) => bigint | undefined;
  readonly backward: boolean;
  readonly batchSize: number;
}

/**
 * All events of many shards, merged by the time in their ids; at the same millisecond the lower shard comes first
 * (backwards: the higher). Within a shard the order of positions is kept, whatever the clocks say. Memory is bounded by
 * two pages of each shard.
 */
export async function* mergeShards(
  shards: Shards,
  shardIds: readonly number[],
  request: MergeRequest,
  options?: RunOptions,
): AsyncGenerator<PlacedRow, void, undefined> {
  const { backward, batchSize, from, category, sliceCount, slices } = request;
  const read = (shardId: number, after: bigint | undefined): Promise<ShardPage> => {
    const page = readShardPage(
      shards,
      shardId,
      { after, max: batchSize, backward, category, sliceCount, slices },
      options,
    );
    page.catch(() => {});
    return page;
  };
  const sources = await Promise.all(
    shardIds.map(async (shardId): Promise<Source> => {
      const page = await read(shardId, from(shardId));
      const following = page.isEnd ? undefined : read(shardId, page.scannedTo);
      return { shardId, page, at: 0, time: timeOf(page, 0), following };
    }),
  );
  let open = sources.filter(({ page }) => page.rows.length > 0);
  while (open.length > 0) {
    const source = backward ? latest(open) : earliest(open);
    yield source.page.rows[source.at]!;
    source.at += 1;
    if (source.at < source.page.rows.length) {
      if (open.length > 1) source.time = timeOf(source.page, source.at);
      continue;
    }
    const page = await source.following;
    if (page === undefined || page.rows.length === 0) {
      open = open.filter((other) => other !== source);
      continue;
    }
    source.page = page;
    source.at = 0;
    source.time = timeOf(page, 0);
    source.following = page.isEnd ? undefined : read(source.shardId, page.scannedTo);
  }
}

// A scan, not a heap: shards are tens, and the scan of one or two is free.
function earliest(open: readonly Source[]): Source {
  let best = open[0]!;
  for (const source of open) if (source.time < best.time) best = source;
  return best;
}

function latest(open: readonly Source[]): Source {
  let best = open[0]!;
  for (const source of open) if (source.time >= best.time) best = source;
  return best;
}

/** Milliseconds since the epoch of ids. */
function timeOf({ rows }: ShardPage, at: number): number {
  const row = rows[at];
  return row === undefined ? 0 : Number(BigInt(row.event.id) >> 23n);
}
