import { type Datastore, install } from '../core/index.ts';
import { PermissionError, SchemaError } from '../errors.ts';
import type { Shards } from './shards.ts';

/**
 * Makes what streams need in the shards of a Datastore, where it is missing.
 *
 * @throws SchemaError when it is missing and the role may not make it
 */
export async function ensureInstalled(datastore: Datastore, shards: Shards): Promise<void> {
  const { servers } = datastore.map;
  const missing = await Promise.all(servers.map(({ name }) => missingShards(shards, name)));
  if (missing.every(({ length }) => length === 0)) return;
  const entries = servers.map(({ name, connection, ranges }) => ({ ...connection, name, shards: ranges }));
  try {
    await install(entries, { modules: ['core', 'streams'] });
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error;
    throw new SchemaError(
      `streams are not installed in shard ${missing.flat()[0]}; run install(connections, { modules: ['core', 'streams'] }) as the owner`,
      { cause: error },
    );
  }
}

async function missingShards(shards: Shards, server: string): Promise<number[]> {
  const own = shards.ids.filter((shardId) => shards.serverOf(shardId) === server);
  const [first] = own;
  if (first === undefined) return [];
  const schemas = own.map((shardId) => shards.datastore.schemaOf(shardId));
  const rows = await shards.query('read', first, {
    text: `select n.nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relname = 'hv_groups' where n.nspname = any($1)`,
    values: [schemas],
  });
  const present = new Set(rows.map(([schema]) => schema));
  return own.filter((_, place) => !present.has(schemas[place]!));
}
