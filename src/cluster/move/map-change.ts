import { formatShardRanges, parseShardRanges, shardsOf } from '../../core/index.ts';
import type { MapDocument } from '../map-document.ts';

/** Whether a server has a shard by the map. */
export function holds({ servers }: MapDocument, server: string, shardId: number): boolean {
  const ranges = servers[server];
  if (ranges === undefined || ranges === '') return false;
  return parseShardRanges(ranges).some(({ from, to }) => from <= shardId && shardId < to);
}

/** The next map: one shard goes from one server to another, all else stays. */
export function withShardMoved(document: MapDocument, shardId: number, from: string, to: string): MapDocument {
  const shards = (server: string): number[] => {
    const ranges = document.servers[server];
    return ranges === undefined || ranges === '' ? [] : shardsOf(parseShardRanges(ranges));
  };
  const servers = {
    ...document.servers,
    [from]: rangesOf(shards(from).filter((shard) => shard !== shardId)),
    [to]: rangesOf([...shards(to), shardId]),
  };
  return { epoch: document.epoch + 1n, servers };
}

function rangesOf(shards: readonly number[]): string {
  if (shards.length === 0) return '';
  return formatShardRanges(parseShardRanges(shards.map((shard) => ({ from: shard, to: shard + 1 }))));
}
