import type { Shards } from '../shards.ts';

/** One consumer of a group, as its shard knows it. */
export interface ConsumerStats {
  readonly consumer: string;
  readonly label: string;
  readonly joinedAt: Date;
  /** Events settled since it joined. */
  readonly settled: bigint;
  readonly slices: number;
}

/** A group in one shard. */
export interface GroupShardStats {
  readonly shardId: number;
  /** Everything up to here is settled. */
  readonly settledTo: bigint;
  /** The present end of the source. */
  readonly endedAt: bigint;
  /** Positions between the two. */
  readonly lag: bigint;
  readonly settled: bigint;
  readonly retrying: number;
  readonly parked: number;
  readonly consumers: readonly ConsumerStats[];
}

/** A group over all its shards. */
export interface GroupStats {
  readonly name: string;
  readonly source: string;
  readonly strategy: 'ordered' | 'roundRobin';
  readonly lag: bigint;
  readonly settled: bigint;
  readonly retrying: number;
  readonly parked: number;
  /** Consumers that are connected now. */
  readonly consumers: number;
  readonly shards: readonly GroupShardStats[];
}

/** What the groups of all shards are doing, by name. */
export async function groupStats(
  shards: Shards,
  shardIds: readonly number[],
  only?: { readonly name: string; readonly source: string },
): Promise<GroupStats[]> {
  const groups = new Map<string, { name: string; source: string; strategy: string; shards: GroupShardStats[] }>();
  await Promise.all(
    shardIds.map(async (shardId) => {
      const text = `select name, source, strategy, settled_to, ended_at, lag, settled, retrying, parked, consumers from ${shards.schema(shardId)}.hv_group_stats()`;
      for (const row of await shards.query('group', shardId, { text, values: [] })) {
        const [name, source, strategy, settledTo, endedAt, lag, settled, retrying, parked, consumers] = row;
        if (only !== undefined && (name !== only.name || source !== only.source)) continue;
        const key = JSON.stringify([name, source]);
        const group = groups.get(key) ?? { name: name!, source: source!, strategy: strategy!, shards: [] };
        groups.set(key, group);
        group.shards.push({
          shardId,
          settledTo: BigInt(settledTo!),
          endedAt: BigInt(endedAt!),
          lag: BigInt(lag!),
          settled: BigInt(settled!),
          retrying: Number(retrying),
          parked: Number(parked),
          consumers: (JSON.parse(consumers!) as Record<string, string>[]).map(consumerStats),
        });
      }
    }),
  );
  return [...groups.values()].map(summed).sort((a, b) => (a.name + a.source < b.name + b.source ? -1 : 1));
}

function consumerStats({ consumer, label, joinedAt, settled, slices }: Record<string, string>): ConsumerStats {
  return {
    consumer: consumer!,
    label: label!,
    joinedAt: new Date(joinedAt!),
    settled: BigInt(settled!),
    slices: Number(slices),
  };
}

function summed({
  name,
  source,
  strategy,
  shards,
}: {
  name: string;
  source: string;
  strategy: string;
  shards: GroupShardStats[];
}): GroupStats {
  shards.sort((a, b) => a.shardId - b.shardId);
  const sum = (of: (shard: GroupShardStats) => bigint): bigint =>
    shards.reduce((total, shard) => total + of(shard), 0n);
  const ids = shards.flatMap(({ consumers }) => consumers.map(({ consumer }) => consumer));
  return {
    name,
    source,
    strategy: strategy as GroupStats['strategy'],
    lag: sum(({ lag }) => lag),
    settled: sum(({ settled }) => settled),
    retrying: Number(sum(({ retrying }) => BigInt(retrying))),
    parked: Number(sum(({ parked }) => BigInt(parked))),
    consumers: new Set(ids).size,
    shards,
  };
}
