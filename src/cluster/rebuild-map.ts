import { type ConnectionSettings, formatShardRanges } from '../core/index.ts';
import { MapMissingError, MapRefusedError } from './errors.ts';
import { compare, type MapProblem } from './fsck.ts';
import type { MapDocument } from './map-document.ts';
import { type Owner, readOwners } from './owners.ts';

/**
 * Makes a map anew from what the shards say of themselves. One that stands between fence and flip, where its move stopped,
 * gets the server that the fence names: there `hypervault move --resume` opens it.
 *
 * @param epoch - of the map that is made; it must be above every epoch that was ever given
 * @throws MapRefusedError when a server can't be asked or a shard has two owners: then nobody can know; MapMissingError
 *   when no server has a shard
 */
export async function rebuildMap(
  servers: Readonly<Record<string, ConnectionSettings>>,
  epoch: bigint,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<MapDocument> {
  const read = await readOwners(servers, options);
  const away = read.filter(({ error }) => error !== undefined);
  if (away.length > 0) {
    const problems = away.map(({ server, error }): MapProblem => {
      const why = error instanceof Error ? error.message : String(error);
      return { kind: 'unreachable', shardId: undefined, server, message: `${server} could not be asked: ${why}` };
    });
    throw new MapRefusedError(problems);
  }
  const found = read.flatMap(({ owners = [] }) => owners);
  if (found.length === 0) {
    const names = Object.keys(servers).join(', ');
    throw new MapMissingError(
      `no shard says that it is on ${names}: there is nothing to make a map of; see hypervault init`,
    );
  }
  const fenced = fencedShards(found);
  const document = documentOfOwners(Object.keys(servers), [...found.filter(isShard), ...fenced.values()], epoch);
  const strangers = [...fenced.values()].filter(({ owner }) => servers[owner!] === undefined);
  const problems = [
    ...compare(document, found).filter(
      ({ kind, shardId }) => kind !== 'unmapped' && !(kind === 'unclaimed' && fenced.has(shardId!)),
    ),
    ...strangers.map(({ shardId, on, owner }): MapProblem => {
      const message = `shard ${shardId} on ${on} says that it belongs to ${owner}, which this configuration does not have`;
      return { kind: 'unclaimed', shardId, server: on, message };
    }),
  ];
  if (problems.length > 0) throw new MapRefusedError(problems);
  return document;
}

function isShard({ on, owner }: Owner): boolean {
  return on === owner;
}

/** Of shards that no server takes for its own: the newest word of where they are. */
function fencedShards(found: readonly Owner[]): Map<number, Owner> {
  const owned = new Set(found.filter(isShard).map(({ shardId }) => shardId));
  const fenced = new Map<number, Owner>();
  for (const copy of found) {
    if (owned.has(copy.shardId) || copy.owner === null) continue;
    const newest = fenced.get(copy.shardId);
    if (newest === undefined || newest.epoch < copy.epoch) fenced.set(copy.shardId, copy);
  }
  return fenced;
}

function documentOfOwners(servers: readonly string[], owners: readonly Owner[], epoch: bigint): MapDocument {
  const ranges = Object.fromEntries(
    servers.map((server) => {
      const shards = owners.filter(({ owner }) => owner === server).map(({ shardId }) => shardId);
      return [server, formatShardRanges(joined(shards))];
    }),
  );
  return { epoch, servers: ranges };
}

/** Neighbouring shards as ranges. */
function joined(shards: readonly number[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const shardId of [...shards].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.to === shardId) last.to += 1;
    else ranges.push({ from: shardId, to: shardId + 1 });
  }
  return ranges;
}
