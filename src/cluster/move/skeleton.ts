import type { Client } from 'pg';
import { type ConnectionSettings, install } from '../../core/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { readLedger, runMigrations } from '../../internal/migrations.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { migrationNumber, type SqlFile, sqlFile } from '../../internal/sql-files.ts';
import { MIGRATIONS_LEDGER } from '../migrate.ts';
import { withShortLocks } from '../short-locks.ts';
import { copyGrants } from './grants.ts';
import type { DeferredObject } from './journal.ts';
import type { Moving } from './moving.ts';
import { assertSameStructure } from './structure.ts';

/**
 * Makes the shard on the target, empty, fenced, and without what a copy is faster without: the schema of every module by
 * the files that made it on the source, then the user's own migrations out of the source's ledger.
 */
export async function makeSkeleton(moving: Moving): Promise<void> {
  const { source, target, schema, shardId } = moving;
  const { rows } = await source.client.query<{ owner: string }>(
    'select nspowner::regrole::text as owner from pg_namespace where nspname = $1',
    [schema],
  );
  const asOwner = actingAs(target.connection, rows[0]!.owner);
  // A skeleton that was interrupted is made anew.
  await dropCopy(target.client, schema, target.name);
  await installCopy(moving, asOwner);
  await replayMigrations(moving, asOwner);
  await assertSameStructure(moving);
  const usage = await usageOf(source.client, schema);
  const deferred = await target.client.query<{ deferred: Deferred }>('select hypervault.move_defer($1) as deferred', [
    schema,
  ]);
  await closeCopy(moving);
  // Only now: until nobody can write to the copy, nobody but the owner has a right in it.
  await copyGrants(source.client, target.client, 'hypervault');
  await copyGrants(source.client, target.client, schema);
  const { indexes, foreignKeys } = deferred.rows[0]!.deferred;
  const tables = await tablesOf(source.client, schema);
  await moving.keep({ indexes, foreignKeys, usage, tables });
  moving.options.logger?.debug({ shardId, tables: tables.length }, 'the skeleton of the shard is there');
}

interface Deferred {
  readonly indexes: readonly DeferredObject[];
  readonly foreignKeys: readonly DeferredObject[];
}

/** Drops a copy unless it is the shard itself. */
export async function dropCopy(client: Client, schema: string, server: string): Promise<void> {
  const { rows } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (rows.length === 0) return;
  // Programs with an old map may still come, and touch several tables of it.
  await withShortLocks(client, () => client.query('select hypervault.move_drop_schema($1, $2)', [schema, server]), {
    what: 'dropping the copy of a shard',
  });
}

/** From its first moment on nobody writes to the copy, nor has an id from it, before it is the shard. Nobody is there yet. */
async function closeCopy({ target, schema, shardId }: Moving): Promise<void> {
  await target.client.query(
    `select hypervault.move_arm($1, tables.name, $2, $3, 0, 0) from hypervault.move_tables($1) as tables`,
    [schema, shardId, target.name],
  );
  await target.client.query('select hypervault.move_stop($1, $2, false)', [schema, shardId]);
}

async function tablesOf(client: Client, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from hypervault.move_tables($1) where name <> 'hv_move'`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

async function usageOf(client: Client, schema: string): Promise<(string | null)[]> {
  const { rows } = await client.query<{ grantee: string | null }>(
    `select case when grantee = 0 then null else pg_get_userbyid(grantee)::text end as grantee
     from pg_namespace cross join aclexplode(nspacl)
     where nspname = $1 and privilege_type = 'USAGE' and grantee <> nspowner`,
    [schema],
  );
  return rows.map(({ grantee }) => grantee);
}

/** Sessions in which everything that is made belongs to the owner of the shard. */
function actingAs(connection: ConnectionSettings, role: string): ConnectionSettings {
  // Options are cut at spaces; a backslash keeps one.
  const escaped = role.replaceAll('"', '').replace(/[\\ ]/g, '\\$&');
  return { ...connection, options: `${connection.options ?? ''} -c role=${escaped}`.trim() };
}

async function installCopy({ source, schema, shardId, signal }: Moving, target: ConnectionSettings): Promise<void> {
  const { rows } = await source.client.query<{ module: string }>(
    `select module from ${quoteIdentifier(schema)}.hv_ledger
     union
     select module from hypervault.ledger where scope = 'server'`,
  );
  const settings = await source.client.query<{
    epoch: string;
    slots: number | null;
    first_shard: number | null;
    prefix: string;
  }>('select epoch, slots, first_shard, prefix from hypervault.settings');
  const { epoch, slots, first_shard, prefix } = settings.rows[0]!;
  const others = rows.map(({ module }) => module).filter((module) => module !== 'core' && module !== 'cluster');
  // Without a name, so that the copy has no owner: it is the shard only when it is opened.
  await install([{ ...target, shards: `${shardId}-${shardId + 1}` }], {
    modules: ['core', 'cluster', ...others.sort()],
    epoch: Number(epoch),
    slots: slots ?? undefined,
    firstShard: first_shard ?? undefined,
    schemaPrefix: prefix,
    signal,
  });
}

async function replayMigrations(moving: Moving, target: ConnectionSettings): Promise<void> {
  const { source, schema, shardId, signal } = moving;
  const kept = await readLedger(source.client, { ...MIGRATIONS_LEDGER, schema });
  const files = kept
    .filter(({ source: text }) => text !== null)
    .map(({ kind, name, source: text }) => sqlFile(kind, name, `${source.name}: ${name}`, text!))
    .sort(asInAFolder);
  if (files.length === 0) return;
  await moving.target.within(target, async (client) => {
    await runMigrations({
      client,
      files,
      ledger: { ...MIGRATIONS_LEDGER, schema },
      // The mover holds the lock that migrations take; nobody else is at this copy.
      lock: { class: ADVISORY_LOCK_CLASS.install, key: shardId },
      transaction: 'each',
      searchPath: [schema, 'public'],
      keepSource: true,
      signal,
    });
  });
}

const ORDER = ['migration', 'function', 'view'];

function asInAFolder(a: SqlFile, b: SqlFile): number {
  return (
    ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) ||
    migrationNumber(a.name) - migrationNumber(b.name) ||
    (a.name < b.name ? -1 : 1)
  );
}
