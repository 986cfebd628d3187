import type { ConnectionSettings } from '../core/index.ts';
import { parseShardRanges, shardsOf } from '../core/index.ts';
import { describePrepared } from './atomic/in-doubt.ts';
import { lostParts, readOldDecisions } from './atomic/lost-parts.ts';
import { type PartProblem, partProblems } from './atomic/part-problems.ts';
import { type PreparedOnServer, readPrepared } from './atomic/prepared.ts';
import type { MapDocument } from './map-document.ts';
import { askServers, type Owner, ownersOn } from './owners.ts';

/** What can be wrong between the map and the shards. */
export type MapProblemKind = 'unreachable' | 'missing' | 'unclaimed' | 'elsewhere' | 'double' | 'newer' | 'unmapped';

/** One contradiction, and what to do about it. */
export interface MapProblem {
  readonly kind: MapProblemKind;
  readonly shardId: number | undefined;
  readonly server: string;
  /** A sentence with the remedy. */
  readonly message: string;
}

/** What a check of the whole installation found. */
export interface FsckResult {
  readonly problems: readonly (MapProblem | PartProblem)[];
  /** Shards whose owner rows could be read. */
  readonly shards: number;
  readonly servers: number;
}

/** How to check. */
export interface FsckOptions {
  /** From this age on nobody seems to end a part of an atomic write. @default 60000 */
  readonly partsAfterMs?: number | undefined;
  /** @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares the map with what the shards say of themselves. Truth lies in the shards; the map is a cache of it. Names also
 * parts of atomic writes that nobody ends, or nobody can. Only reads.
 *
 * @throws AbortedError
 */
export async function fsck(
  document: MapDocument,
  servers: Readonly<Record<string, ConnectionSettings>>,
  { partsAfterMs = 60_000, schemaPrefix = 'shard', signal }: FsckOptions = {},
): Promise<FsckResult> {
  const read = await askServers(
    servers,
    async (client, server) => {
      const owners = (await ownersOn(client, server)) ?? [];
      const own = owners.filter(isOwner).map(({ shardId }) => shardId);
      const decisions = await readOldDecisions(client, own, { schemaPrefix, afterMs: partsAfterMs });
      return { owners, decisions, prepared: await readPrepared(client) };
    },
    { signal },
  );
  const problems: (MapProblem | PartProblem)[] = [];
  const away = new Set<string>();
  for (const { server, error } of read) {
    if (error === undefined) continue;
    away.add(server);
    const why = error instanceof Error ? error.message : String(error);
    problems.push({ kind: 'unreachable', shardId: undefined, server, message: `${server} could not be asked: ${why}` });
  }
  const found = read.flatMap(({ answer }) => answer?.owners ?? []);
  problems.push(...compare(document, found, away));
  const mapped = mappedShards(document);
  const prepared = new Map<string, PreparedOnServer>();
  for (const { server, answer } of read) if (answer !== undefined) prepared.set(server, answer.prepared);
  const serverOf = (shardId: number): string | undefined => mapped.get(shardId);
  const parts = await describePrepared(prepared, { serverOf, servers, schemaPrefix, signal });
  problems.push(...partProblems(parts, serverOf, partsAfterMs));
  const decisions = read.flatMap(({ answer }) => answer?.decisions ?? []);
  problems.push(...lostParts(decisions, serverOf, prepared));
  return { problems, shards: new Set(found.map(({ shardId }) => shardId)).size, servers: read.length };
}

/** The contradictions between a map and owner rows; servers in `away` are not blamed for what could not be read. */
export function compare(
  document: MapDocument,
  found: readonly Owner[],
  away: ReadonlySet<string> = new Set(),
): MapProblem[] {
  const problems: MapProblem[] = [];
  const byShard = groupByShard(found);
  const mapped = mappedShards(document);
  for (const [shardId, server] of mapped) {
    const copies = byShard.get(shardId) ?? [];
    problems.push(...ofMappedShard(shardId, server, copies, document.epoch, away));
  }
  for (const [shardId, copies] of byShard) {
    const owner = copies.find(isOwner);
    if (mapped.has(shardId) || owner === undefined) continue;
    const message = `shard ${shardId} is on ${owner.on} and the map does not know it; take it into the map with hypervault map rebuild`;
    problems.push({ kind: 'unmapped', shardId, server: owner.on, message });
  }
  return problems.sort((a, b) => (a.shardId ?? -1) - (b.shardId ?? -1));
}

/** The server of each shard, by the map. */
export function mappedShards({ servers }: MapDocument): Map<number, string> {
  const mapped = new Map<number, string>();
  for (const [server, ranges] of Object.entries(servers)) {
    for (const shardId of ranges === '' ? [] : shardsOf(parseShardRanges(ranges))) mapped.set(shardId, server);
  }
  return mapped;
}

function ofMappedShard(
  shardId: number,
  server: string,
  copies: readonly Owner[],
  epoch: bigint,
  away: ReadonlySet<string>,
): MapProblem[] {
  const problem = (kind: MapProblemKind, on: string, message: string): MapProblem => ({
    kind,
    shardId,
    server: on,
    message,
  });
  const owners = copies.filter(isOwner);
  const here = copies.find(({ on }) => on === server);
  if (owners.length > 1) {
    const names = owners.map(({ on, epoch: since }) => `${on} (epoch ${since})`).join(' and ');
    return [
      problem(
        'double',
        server,
        `shard ${shardId} has two owners: ${names}; retire the one of the lower epoch with hypervault fsck --retire SERVER`,
      ),
    ];
  }
  const [owner] = owners;
  if (owner !== undefined && owner.on !== server) {
    return [
      problem(
        'elsewhere',
        server,
        `shard ${shardId} belongs to ${owner.on} since epoch ${owner.epoch}, the map says ${server}`,
      ),
    ];
  }
  if (here === undefined) {
    if (away.has(server)) return [];
    return [
      problem(
        'missing',
        server,
        `shard ${shardId} should be on ${server} and is not; restore it, or make it anew and empty with hypervault init --make-missing`,
      ),
    ];
  }
  if (owner === undefined) {
    const says = here.owner === null ? 'names no owner' : `says that it belongs to ${here.owner}`;
    return [problem('unclaimed', server, `shard ${shardId} on ${server} ${says}`)];
  }
  if (owner.epoch > epoch) {
    return [
      problem(
        'newer',
        server,
        `shard ${shardId} on ${server} is of epoch ${owner.epoch}, the map only of ${epoch}: the map is old`,
      ),
    ];
  }
  return [];
}

/** Only the copy that stands on the server it names is the shard; others are copies on their way in or out. */
function isOwner({ on, owner }: Owner): boolean {
  return owner === on;
}

function groupByShard(found: readonly Owner[]): Map<number, Owner[]> {
  const groups = new Map<number, Owner[]>();
  for (const owner of found) groups.set(owner.shardId, [...(groups.get(owner.shardId) ?? []), owner]);
  return groups;
}
