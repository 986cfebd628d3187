import type { ResolvedConfiguration } from './config/index.ts';
import {
  type ConnectionEntry,
  type InstallOptions,
  type InstallResult,
  install,
  installControl,
  type ShardRangesInput,
} from './core/index.ts';
import { ConfigurationError } from './errors.ts';
import { unknownServer } from './internal/unknown-server.ts';

export interface VaultInstallOptions extends Pick<InstallOptions, 'onProgress' | 'grantTo' | 'concurrency' | 'signal'> {
  /** With `shards: live` and no map yet: which server gets which shards at first. Others get none. */
  readonly firstShards?: Readonly<Record<string, ShardRangesInput>> | undefined;
  /** With `shards: live`: makes shards anew, and empty, that the map names and that are gone. @default false */
  readonly makeMissing?: boolean | undefined;
}

export interface VaultInstallResult {
  /** What the servers have become; `undefined` when the configuration names no shards. */
  readonly shards: InstallResult | undefined;
  /** Whether the control database was made or brought up to date; `undefined` when the configuration names none. */
  readonly controlChanged: boolean | undefined;
  /** Whether the first shard map was made now; `undefined` when the configuration asks for no map. */
  readonly mapMade: boolean | undefined;
}

/**
 * Installs all that a configuration names: servers, shards, control database, and with `shards: live` the first shard
 * map. May be run again without harm; then the shards are made where the map says.
 *
 * @throws what {@link install} and {@link installControl} throw
 */
export async function installVault(
  configuration: ResolvedConfiguration,
  { grantTo, signal, firstShards, makeMissing, ...options }: VaultInstallOptions = {},
): Promise<VaultInstallResult> {
  const { connections, control, fixed, sections, locate } = configuration;
  if (firstShards !== undefined && connections !== 'live') {
    throw new ConfigurationError(
      `${locate(['shards'])}: the configuration names the ranges itself; leave firstShards out`,
    );
  }
  // The others listen and lease; so what listen keeps is made with any of them.
  const modules = [...new Set(['core', 'listen', ...sections.keys(), ...(connections === 'live' ? ['cluster'] : [])])];
  const controlChanged = control && (await installControl(control, { modules, grantTo, signal }));
  const how = { ...options, ...fixed, modules, grantTo, signal };
  if (connections === 'live') {
    const { initCluster } = await import('./cluster/index.ts');
    const entries = await liveEntries(configuration, firstShards, signal);
    const { map: _, mapMade, ...shards } = await initCluster(entries, control!, { ...how, makeMissing });
    return { shards, controlChanged, mapMade };
  }
  const shards = connections && (await install(connections, how));
  return { shards, controlChanged, mapMade: undefined };
}

/** Every server of the configuration with the shards that the map, or at first the caller, gives it. */
async function liveEntries(
  { servers, control, locate }: ResolvedConfiguration,
  firstShards: VaultInstallOptions['firstShards'],
  signal: AbortSignal | undefined,
): Promise<ConnectionEntry[]> {
  const { readMap, mapOf } = await import('./cluster/index.ts');
  const there = await readMap(control!, { signal });
  if (there === null && firstShards === undefined) {
    throw new ConfigurationError(
      `${locate(['shards'])}: the control database holds no map yet; say once which server gets which shards: hypervault init --first-shards ${[...servers.keys()][0]}=1-65`,
    );
  }
  if (there !== null && firstShards !== undefined) {
    throw new ConfigurationError(
      `${locate(['shards'])}: there is a map already (epoch ${there.document.epoch}); leave --first-shards out, and move shards with hypervault move`,
    );
  }
  const known = Object.fromEntries(servers);
  for (const name of Object.keys(firstShards ?? {})) {
    if (known[name] === undefined) throw unknownServer('--first-shards', name, servers.keys());
  }
  const map = there === null ? undefined : mapOf(there.document, known);
  const mapped = new Map(map?.servers.map(({ name, ranges }) => [name, ranges]));
  return [...servers].map(([name, connection]) => ({
    ...connection,
    name,
    shards: mapped.get(name) ?? firstShards?.[name] ?? [],
  }));
}
