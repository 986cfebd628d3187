import type { ConnectionSettings } from '../core/index.ts';
import { type ConnectionEntry, type InstallOptions, type InstallResult, install, shardMapOf } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { MapConflictError, MapRefusedError } from './errors.ts';
import { compare, mappedShards } from './fsck.ts';
import { documentOf, type MapDocument } from './map-document.ts';
import { type MapAuthor, MapStore } from './map-store.ts';
import { ownerCheck } from './owner-check.ts';
import { onServer, readOwners } from './owners.ts';

/** How a cluster is made, or brought up to date. */
export interface InitOptions extends Omit<InstallOptions, 'modules' | 'mustBeThere'> {
  /** Further modules whose SQL is applied. `core` and `cluster` always are. @default [] */
  readonly modules?: readonly string[] | undefined;
  readonly author?: string | undefined;
  /**
   * Makes shards anew, and empty, that the map names and that are gone. The map is made when all shards are there: one
   * that is missing after that was lost. @default false
   */
  readonly makeMissing?: boolean | undefined;
}

/** What an initialisation has become. */
export interface InitResult extends InstallResult {
  readonly map: MapDocument;
  /** Whether this call made the first map. */
  readonly mapMade: boolean;
}

/**
 * Makes the shards of all servers, writes into each who owns it, and publishes the first map. May be run again: what is
 * there stays, and a map that is there is left as it is.
 *
 * @throws ConfigurationError when an entry has no name; MapRefusedError when shards belong to somebody else, or are gone;
 *   what `install` throws
 */
export async function initCluster(
  connections: readonly ConnectionEntry[],
  control: ConnectionSettings,
  { modules = [], author = 'hypervault init', makeMissing = false, ...options }: InitOptions = {},
): Promise<InitResult> {
  for (const entry of connections) {
    if (entry.name === undefined) {
      throw new ConfigurationError('initCluster: every server needs a name; the map and the shards know it by that');
    }
  }
  const others = modules.filter((module) => module !== 'core' && module !== 'cluster');
  const { signal } = options;
  const map = shardMapOf(connections);
  const servers = Object.fromEntries(map.servers.map(({ name, connection }) => [name, connection]));
  const store = new MapStore(control);
  await store.start();
  try {
    const there = await store.read({ signal });
    if (there !== null && !makeMissing) await refuseMissing(there.document, servers, signal);
    // Also when it leaves while this is under way: then its move is over, and an empty one must not stand in its place.
    const mustBeThere = there === null || makeMissing ? undefined : new Set(mappedShards(there.document).keys());
    const installed = await install(connections, { ...options, modules: ['core', 'cluster', ...others], mustBeThere });
    if (there !== null) return { ...installed, map: there.document, mapMade: false };
    const document = documentOf(map, 1n);
    const refused = compare(
      document,
      (await readOwners(servers, { signal })).flatMap(({ owners = [] }) => owners),
    ).filter(({ kind }) => kind === 'elsewhere' || kind === 'double');
    if (refused.length > 0) throw new MapRefusedError(refused);
    await claimAll(map.servers, installed.schemaPrefix, document.epoch, signal);
    const authored: MapAuthor = { author, comment: 'the first map' };
    try {
      await store.publish(document, authored, { check: ownerCheck(servers), signal });
    } catch (error) {
      // Of several that make it at once one wins.
      const made = error instanceof MapConflictError ? await store.read({ signal }) : null;
      if (made === null) throw error;
      return { ...installed, map: made.document, mapMade: false };
    }
    return { ...installed, map: document, mapMade: true };
  } finally {
    await store.stop();
  }
}

/** @throws MapRefusedError when a shard that was there is gone: an empty one in its place would hide that */
async function refuseMissing(
  document: MapDocument,
  servers: Readonly<Record<string, ConnectionSettings>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const read = await readOwners(servers, { signal });
  const away = new Set(read.flatMap(({ server, owners }) => (owners === undefined ? server : [])));
  const found = read.flatMap(({ owners = [] }) => owners);
  const missing = compare(document, found, away).filter(({ kind }) => kind === 'missing');
  if (missing.length > 0) throw new MapRefusedError(missing);
}

/** Writes into every shard which server owns it. */
async function claimAll(
  servers: ReturnType<typeof shardMapOf>['servers'],
  prefix: string,
  epoch: bigint,
  signal: AbortSignal | undefined,
): Promise<void> {
  await Promise.all(
    servers.map(({ name, connection, ranges }) =>
      onServer(
        connection,
        async (client) => {
          for (const { from, to } of ranges) {
            await client.query(
              'select hypervault.claim($1 || lpad(shard::text, 4, $4), $2, $3) from generate_series($5::int, $6::int) as shard',
              [prefix, name, epoch.toString(), '0', from, to - 1],
            );
          }
        },
        signal,
      ),
    ),
  );
}
