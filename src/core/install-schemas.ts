import type { Client } from 'pg';
import { PermissionError, SchemaError } from '../errors.ts';
import { ADVISORY_LOCK_CLASS } from '../internal/advisory-locks.ts';
import { applySchema, type MigrationGuard } from '../internal/migrations.ts';
import { substitutePlaceholders } from '../internal/psql-placeholders.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { readGrants, type SqlScope } from '../internal/sql-files.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import type { SharedSettings } from './install-settings.ts';
import { schemaName } from './schema-name.ts';

/** What is to be made on a server and in each of its shards. */
export interface SchemaOrder {
  readonly modules: readonly string[];
  readonly settings: SharedSettings;
  readonly hstoreSchema: string;
  readonly grantTo: readonly string[];
  /** The name the configuration gives the server; `undefined` when it gives none. */
  readonly owner: string | undefined;
  /** Shards that are not made when they are missing. */
  readonly mustBeThere: ReadonlySet<number> | undefined;
  readonly signal: AbortSignal;
}

/** Makes what belongs to the whole server. @returns whether anything changed */
export async function installServerSchema(client: Client, order: SchemaOrder): Promise<boolean> {
  const { epoch, slots, firstShard, schemaPrefix } = order.settings;
  const changed = await applyModules(client, order, 'server', 'hypervault', {
    epoch: String(epoch),
    slots: String(slots ?? ''),
    first_shard: String(firstShard ?? ''),
    prefix: schemaPrefix,
    hstore_schema: order.hstoreSchema,
  });
  if (slots !== undefined) await client.query('select hypervault.fix_routing($1, $2)', [slots, firstShard]);
  return changed;
}

/** Makes one shard. @returns whether anything changed */
export async function installShardSchema(client: Client, order: SchemaOrder, shardId: number): Promise<boolean> {
  const schema = schemaName(order.settings.schemaPrefix, shardId);
  const guard = order.mustBeThere?.has(shardId) ? notOnTheMove(shardId) : undefined;
  const changed = await applyModules(client, { ...order, guard }, 'shard', schema, {
    shard: String(shardId),
    sequence: `${quoteIdentifier(schema)}.table_id_seq`,
    hstore_schema: order.hstoreSchema,
    server: order.owner ?? '',
  });
  if (order.owner !== undefined) await claimShard(client, schema, shardId, order.owner);
  return changed;
}

/** What a move has begun to carry must not change under it, and what has left must not be made anew. */
function notOnTheMove(shardId: number): MigrationGuard {
  return {
    text: `select pg_try_advisory_xact_lock(${ADVISORY_LOCK_CLASS.shard}, ${shardId}) as free`,
    accept: ([row]) => {
      if (row?.free) return;
      throw new SchemaError(`shard ${shardId} is being moved or migrated at this moment; install again afterwards`, {
        retryable: true,
      });
    },
  };
}

/** Applies what modules ship for a scope, and grants what roles need of it. @returns whether anything changed */
export async function applyModules(
  client: Client,
  {
    modules,
    grantTo,
    guard,
    signal,
  }: Pick<SchemaOrder, 'modules' | 'grantTo' | 'signal'> & { guard?: MigrationGuard | undefined },
  scope: SqlScope,
  schema: string,
  variables: Readonly<Record<string, string>>,
): Promise<boolean> {
  let changed = false;
  for (const module of modules) {
    const { applied } = await applySchema(client, { module, scope, schema, variables, guard, signal });
    changed ||= applied.length > 0;
    for (const role of grantTo) {
      const grants = await readGrants(module, scope);
      if (grants === undefined) continue;
      await client.query(substitutePlaceholders(grants, { schema, role }, `sql/${module}/${scope}/grants.sql`));
    }
  }
  return changed;
}

/** A shard belongs to the server it was made on until a move says otherwise: the same range twice is a mistake. */
async function claimShard(client: Client, schema: string, shardId: number, owner: string): Promise<void> {
  const table = `${quoteIdentifier(schema)}.hv_owner`;
  await client.query(`update ${table} set server = $1 where server is null`, [owner]);
  const { rows } = await client.query<{ server: string }>(`select server from ${table}`);
  const server = rows[0]?.server;
  if (server !== owner) {
    throw new SchemaError(
      `shard ${shardId} is here, but belongs to the server ${JSON.stringify(server)} and not to ${JSON.stringify(owner)}: correct the ranges or the server's name`,
    );
  }
}

/** Puts the server's name before what went wrong on it, and names the right that a role lacks. */
export function onServer(server: string, error: unknown): unknown {
  if (error instanceof PermissionError || error instanceof SchemaError) {
    if (error.message.startsWith(server)) return error;
    const Kind = error instanceof PermissionError ? PermissionError : SchemaError;
    return new Kind(`${server}: ${error.message}`, { cause: error.cause, retryable: error.retryable });
  }
  if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) {
    const message = `${server}: ${(error as Error).message}; install as the owner of the schemas, or as a superuser`;
    return new PermissionError(message, { cause: error });
  }
  if (sqlStateOf(error) === SQLSTATE.undefinedObject) {
    return new SchemaError(`${server}: ${(error as Error).message}; grantTo names roles that exist already`, {
      cause: error,
    });
  }
  return error;
}
