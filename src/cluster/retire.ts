import { type ConnectionSettings, schemaName } from '../core/index.ts';
import { unknownServer } from '../internal/unknown-server.ts';
import { MapRefusedError } from './errors.ts';
import type { MapProblem } from './fsck.ts';
import { type MapDocument, mapOf } from './map-document.ts';
import { type Owner, onServer, readOwners } from './owners.ts';
import { withShortLocks } from './short-locks.ts';

/**
 * Decides between two owners of a shard, as after a restore from an old backup: the copies on `server` that take
 * themselves for shards which the map gives to others, and are older than those, are retired. They stay as they are
 * otherwise, and are left over for the janitor.
 *
 * @returns the shards that were retired, ascending
 * @throws ConfigurationError for an unknown server; MapRefusedError when one of its copies is not older than the shard
 *   the map names: nothing was done then
 */
export async function retireOutdated(
  server: string,
  document: MapDocument,
  servers: Readonly<Record<string, ConnectionSettings>>,
  { schemaPrefix = 'shard', signal }: { schemaPrefix?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<number[]> {
  const connection = servers[server];
  if (connection === undefined) throw unknownServer('fsck --retire', server, Object.keys(servers));
  const map = mapOf(document, servers);
  const found = (await readOwners(servers, { signal })).flatMap(({ owners = [] }) => owners);
  const problems: MapProblem[] = [];
  const pairs: { readonly stale: Owner; readonly truth: Owner }[] = [];
  for (const stale of found.filter(({ on, owner }) => on === server && owner === server)) {
    const { shardId } = stale;
    const owner = map.has(shardId) ? map.serverOf(shardId).name : server;
    if (owner === server) continue;
    const truth = found.find((copy) => copy.shardId === shardId && copy.on === owner && copy.owner === owner);
    if (truth !== undefined && truth.epoch > stale.epoch) {
      pairs.push({ stale, truth });
    } else {
      const there = truth === undefined ? 'does not own it' : `owns it since epoch ${truth.epoch}`;
      const message = `shard ${shardId} on ${server} is of epoch ${stale.epoch}, and ${owner} ${there}: nobody can know which is right`;
      problems.push({ kind: 'double', shardId, server, message });
    }
  }
  if (problems.length > 0) throw new MapRefusedError(problems);
  await onServer(
    connection,
    async (client) => {
      for (const { stale, truth } of pairs) {
        const schema = schemaName(schemaPrefix, stale.shardId);
        const home = [truth.owner, truth.epoch.toString()];
        const { rows } = await client.query<{ name: string }>('select name from hypervault.move_tables($1)', [schema]);
        for (const { name } of rows) {
          const fence = () => client.query('select hypervault.fence($1, $2, $3, $4)', [schema, name, ...home]);
          await withShortLocks(client, fence, { what: 'retiring a copy', signal });
        }
        await client.query('select hypervault.retire($1, $2, $3)', [schema, ...home]);
      }
    },
    signal,
  );
  return pairs.map(({ stale }) => stale.shardId).sort((a, b) => a - b);
}
