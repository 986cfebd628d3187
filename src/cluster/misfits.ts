import { type ShardMap, shardsOf } from '../core/index.ts';
import type { MapProblem } from './fsck.ts';
import type { Owner } from './owners.ts';

/**
 * Signs that a server is older than the map: it lacks a shard that the map gives it, or takes itself for the owner of one
 * that the map gives to another. A shard that is being handed over is neither: then one side names the other, or nobody.
 */
export function misfits(server: string, map: ShardMap, owners: readonly Owner[]): MapProblem[] {
  const here = new Map(owners.map((owner) => [owner.shardId, owner]));
  const mapped = map.servers.find(({ name }) => name === server);
  const problems: MapProblem[] = [];
  for (const shardId of shardsOf(mapped?.ranges ?? [])) {
    if (here.has(shardId)) continue;
    const message = `shard ${shardId} should be on ${server} and is not`;
    problems.push({ kind: 'missing', shardId, server, message });
  }
  for (const { shardId, owner, epoch } of owners) {
    if (owner !== server || !map.has(shardId) || map.serverOf(shardId).name === server) continue;
    const other = map.serverOf(shardId).name;
    const message = `${server} owns shard ${shardId} by its word of epoch ${epoch}, the map says ${other}`;
    problems.push({ kind: 'double', shardId, server, message });
  }
  return problems;
}
