import { type ConnectionSettings, parseShardRanges, shardsOf } from '../core/index.ts';
import { MapRefusedError } from './errors.ts';
import type { MapProblem } from './fsck.ts';
import type { MapDocument } from './map-document.ts';
import { type Owner, readOwners } from './owners.ts';

/** Asked before a map is put in place of another; what it throws keeps the map from being saved. */
export type MapCheck = (
  next: MapDocument,
  previous: MapDocument | undefined,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<void>;

/** Shards by server name. */
type Holdings = ReadonlyMap<number, string>;

/**
 * The check of every map change: the owner rows of the shards that change hands must say what the new map says. Asks
 * only the servers whose shards change.
 *
 * @throws MapRefusedError from the check, also when a server can't be asked
 */
export function ownerCheck(servers: Readonly<Record<string, ConnectionSettings>>): MapCheck {
  return async (next, previous, { signal }) => {
    const asked = serversThatChange(next, previous);
    const known = Object.fromEntries(asked.flatMap((name) => (servers[name] ? [[name, servers[name]]] : [])));
    const problems = asked
      .filter((name) => servers[name] === undefined)
      .map((name) => problem('unreachable', undefined, name, `${name} is in the map and not in the configuration`));
    const read = await readOwners(known, { signal });
    for (const { server, error } of read) {
      if (error === undefined) continue;
      const why = error instanceof Error ? error.message : String(error);
      problems.push(problem('unreachable', undefined, server, `${server} could not be asked: ${why}`));
    }
    const found = read.flatMap(({ owners = [] }) => owners);
    if (problems.length === 0) problems.push(...contradictions(next, previous, found));
    if (problems.length > 0) throw new MapRefusedError(problems);
  };
}

/** Servers that get or give shards. */
function serversThatChange(next: MapDocument, previous: MapDocument | undefined): string[] {
  const names = new Set([...Object.keys(next.servers), ...Object.keys(previous?.servers ?? {})]);
  return [...names].filter((name) => (next.servers[name] ?? '') !== (previous?.servers[name] ?? ''));
}

/**
 * Where a change of the map contradicts owner rows. Of several copies the one with the highest epoch knows best: while a
 * shard changes hands it is the old owner's, which names the new one.
 */
export function contradictions(
  next: MapDocument,
  previous: MapDocument | undefined,
  found: readonly Owner[],
): MapProblem[] {
  const [will, was] = [holdingsOf(next), previous === undefined ? new Map<number, string>() : holdingsOf(previous)];
  const changed = new Set([...will.keys(), ...was.keys()].filter((shardId) => will.get(shardId) !== was.get(shardId)));
  const problems: MapProblem[] = [];
  for (const shardId of [...changed].sort((a, b) => a - b)) {
    const newest = found
      .filter((owner) => owner.shardId === shardId && owner.owner !== null)
      .reduce<Owner | undefined>((best, owner) => (best && best.epoch >= owner.epoch ? best : owner), undefined);
    const server = will.get(shardId);
    if (server === undefined) {
      if (newest === undefined) continue;
      const says = newest.owner === newest.on ? 'owns it' : `says that it belongs to ${newest.owner}`;
      const message = `shard ${shardId} would be in no map, and ${newest.on} ${says}`;
      problems.push(problem('unmapped', shardId, newest.on, message));
    } else if (newest === undefined) {
      problems.push(problem('missing', shardId, server, `nothing says that shard ${shardId} belongs to ${server}`));
    } else if (newest.owner !== server) {
      const message = `shard ${shardId} belongs to ${newest.owner} since epoch ${newest.epoch}, the new map says ${server}`;
      problems.push(problem('elsewhere', shardId, server, message));
    } else if (newest.epoch > next.epoch) {
      const message = `shard ${shardId} is of epoch ${newest.epoch}, the new map only of ${next.epoch}`;
      problems.push(problem('newer', shardId, server, message));
    }
  }
  return problems;
}

function holdingsOf({ servers }: MapDocument): Holdings {
  const holdings = new Map<number, string>();
  for (const [server, ranges] of Object.entries(servers)) {
    for (const shardId of ranges === '' ? [] : shardsOf(parseShardRanges(ranges))) holdings.set(shardId, server);
  }
  return holdings;
}

function problem(kind: MapProblem['kind'], shardId: number | undefined, server: string, message: string): MapProblem {
  return { kind, shardId, server, message };
}
