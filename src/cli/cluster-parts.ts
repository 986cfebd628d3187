import { type MapDocument, MapMissingError, MapStore, mapOf } from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import { type ConnectionSettings, type ShardMap, shardMapOf } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';

/** How to reach each server, by name. */
export function serversOf({ servers }: ResolvedConfiguration): Record<string, ConnectionSettings> {
  return Object.fromEntries(servers);
}

/** Runs `work` with the store of the map. @throws ConfigurationError when the configuration names no control database */
export async function withMapStore<T>(
  { control, locate }: ResolvedConfiguration,
  work: (store: MapStore) => Promise<T>,
): Promise<T> {
  if (control === undefined) {
    throw new ConfigurationError(`${locate([])}: control is missing; name the server that holds the shard map`);
  }
  const store = new MapStore(control);
  await store.start();
  try {
    return await work(store);
  } finally {
    await store.stop();
  }
}

/** The newest map of the control database. @throws MapMissingError */
export async function newestMap(store: MapStore, signal: AbortSignal): Promise<MapDocument> {
  const version = await store.read({ signal });
  if (version === null)
    throw new MapMissingError(
      'the control database holds no shard map: hypervault init makes one where the configuration says shards: live, hypervault map rebuild makes it anew of the shards',
    );
  return version.document;
}

/** The map the configuration asks for: the live one, or the ranges it names. */
export async function configuredMap(configuration: ResolvedConfiguration, signal: AbortSignal): Promise<ShardMap> {
  const { connections, locate } = configuration;
  if (connections === undefined) throw new ConfigurationError(`${locate([])}: shards is missing`);
  if (connections !== 'live') return shardMapOf(connections);
  return withMapStore(configuration, async (store) => mapOf(await newestMap(store, signal), serversOf(configuration)));
}
