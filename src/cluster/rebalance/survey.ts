import type { ShardMap } from '../../core/index.ts';
import { ServerUnavailableError } from '../../errors.ts';
import { type ClusterStatusOptions, clusterStatus } from '../status/cluster-status.ts';
import type { PlanShard } from './plan.ts';

/**
 * What each shard of the map weighs, as its server says.
 *
 * @throws ServerUnavailableError when a server that holds shards can't be asked
 */
export async function surveyShards(
  map: ShardMap,
  options: Omit<ClusterStatusOptions, 'control'> = {},
): Promise<PlanShard[]> {
  const { servers } = await clusterStatus(map, options);
  const holding = new Set(map.servers.filter(({ ranges }) => ranges.length > 0).map(({ name }) => name));
  return servers.flatMap(({ name, shards, error }) => {
    if (shards !== undefined) {
      return shards
        .filter(({ shardId }) => map.has(shardId) && map.serverOf(shardId).name === name)
        .map(({ shardId, sizeBytes, estimatedRows }) => {
          return { shardId, server: name, bytes: sizeBytes, rows: estimatedRows ?? 0n };
        });
    }
    if (!holding.has(name)) return [];
    const why = error instanceof Error ? error.message : String(error);
    throw new ServerUnavailableError(name, `${name} could not be asked what its shards weigh: ${why}`, {
      cause: error,
    });
  });
}
