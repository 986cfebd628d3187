import { checkServer, DEFAULT_EPOCH, type ShardMapSource } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { LiveShards, PlacedShards } from '../config/topology.ts';

/** As much of a shard map that can change as the import needs. */
export type LiveMap = Pick<ShardMapSource, 'refresh'>;

/**
 * Reads the map that the configuration follows (`shards: live`), and how keys find their shards from the first server
 * that says it: it was fixed there at install.
 *
 * @throws ConfigurationError when nobody gave us a map to follow; what reading the map throws
 */
export async function readLiveShards(
  { fixed, where }: LiveShards,
  map: LiveMap | undefined,
  servers: Servers,
): Promise<PlacedShards> {
  if (map === undefined) {
    throw new ConfigurationError(
      `${where}: to follow the live map, give the ReplicaEngine one: shardMap: await liveShardMap({ control, servers }) of pg-hypervault/cluster`,
    );
  }
  const current = await map.refresh();
  const expected = { ...fixed, epoch: fixed.epoch ?? DEFAULT_EPOCH, schemaPrefix: fixed.schemaPrefix ?? 'shard' };
  const holders = current.servers.filter(({ ranges }) => ranges.length > 0);
  const shards = current.shards;
  const asked = holders.map(({ name }) => servers.with(name, (client) => checkServer(client, expected, name)));
  const settings = await Promise.any(asked).catch((error: AggregateError) => {
    throw error.errors[0];
  });
  return {
    kind: 'named',
    map: current,
    routing: {
      slots: settings.slots ?? fixed.slots ?? shards.length,
      firstShard: settings.firstShard ?? fixed.firstShard ?? shards[0] ?? 1,
    },
    prefix: settings.schemaPrefix,
  };
}
