import { isLink, resolveLinks } from './links.ts';
import { type MergeRequest, mergeShards } from './merge-shards.ts';
import { Position } from './position.ts';
import { RecordedEvent } from './recorded-event.ts';
import type { RunOptions, Shards } from './shards.ts';

/** Events of many shards with the position behind each of them, in the direction of reading. */
export async function* readMerged(
  shards: Shards,
  shardIds: readonly number[],
  {
    position: start,
    resolve,
    ...request
  }: Omit<MergeRequest, 'from'> & { readonly position: Position; readonly resolve: boolean },
  options?: RunOptions,
): AsyncGenerator<RecordedEvent, void, undefined> {
  const { backward } = request;
  const from = (shardId: number): bigint => start.of(shardId) + (backward ? 1n : 0n);
  let position = start;
  for await (const { shardId, pos, event } of mergeShards(shards, shardIds, { ...request, from }, options)) {
    position = position.with(shardId, backward ? pos - 1n : pos);
    const recorded = new RecordedEvent(event, shards.epoch, { position });
    if (resolve && isLink(recorded)) yield (await resolveLinks(shards, [recorded], options))[0]!;
    else yield recorded;
  }
}

/** The end of the shards as positions say it, without giving positions to what has none yet. */
export async function headOf(shards: Shards, shardIds: readonly number[], options?: RunOptions): Promise<Position> {
  const heads = await Promise.all(
    shardIds.map(async (shardId) => {
      const text = `select head from ${shards.schema(shardId)}.hv_sequencer`;
      const rows = await shards.query('read', shardId, { text, values: [] }, options);
      return [shardId, BigInt(rows[0]![0]!)] as const;
    }),
  );
  return new Position(heads);
}
