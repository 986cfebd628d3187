import type { Client } from 'pg';
import { SchemaError } from '../../errors.ts';
import { applySchema, LEDGER_TABLE, readLedger } from '../../internal/migrations.ts';
import { type CatalogueScope, findDropped, findMissingParts, ledgerOf } from './missing-parts.ts';
import { OUR_SCHEMA, OWN_OBJECTS } from './own-objects.ts';
import type { Servers } from './servers.ts';

/**
 * Installs the catalogue and what each server keeps. Idempotent. Returns the names of the files that were run.
 * @throws SchemaError when a table was dropped, for what it held cannot be made again
 */
export async function installCatalogue(servers: Servers): Promise<string[]> {
  const applied: string[] = [];
  for (const name of servers.names) {
    await servers.with(name, async (client) => {
      const scopes = servers.scopesOf(name);
      for (const scope of scopes) {
        await forgetDroppedFunctions(client, scope);
        const result = await applySchema(client, { module: 'import', scope, schema: OUR_SCHEMA });
        applied.push(...result.applied.map((file) => `${name}: ${file.path}`));
      }
      const missing = await findMissingParts(client, name, scopes);
      if (missing !== null) throw new SchemaError(missing);
    });
  }
  return applied;
}

/** A function that the ledger does not know is made again. */
async function forgetDroppedFunctions(client: Client, scope: CatalogueScope): Promise<void> {
  const dropped = await findDropped(client, scope, 'functions');
  if (dropped.length === 0 || (await readLedger(client, ledgerOf(scope))).length === 0) return;
  const files = dropped.map((name) => `${/\.(\w+)/.exec(name)![1]}.sql`);
  await client.query(
    `delete from ${OUR_SCHEMA}.${LEDGER_TABLE[scope]}
      where module = 'import' and scope = $1 and kind = 'function' and name = any($2)`,
    [scope, files],
  );
}

/** Takes the catalogue away; replicated rows stay. */
export async function dropCatalogue(servers: Servers): Promise<void> {
  for (const name of servers.names) {
    await servers.with(name, async (client) => {
      const scopes = servers.scopesOf(name).toReversed();
      const named = (kind: 'tables' | 'functions'): string =>
        scopes.flatMap((scope) => OWN_OBJECTS[scope][kind].map((object) => `${OUR_SCHEMA}.${object}`)).join(', ');
      const { rows } = await client.query('select from pg_namespace where nspname = $1', [OUR_SCHEMA]);
      if (rows.length === 0) return;
      await client.query('begin');
      await client.query(`drop function if exists ${named('functions')}`);
      await client.query(`drop table if exists ${named('tables')}`);
      await client.query(`delete from ${OUR_SCHEMA}.ledger where module = 'import' and scope = any($1)`, [scopes]);
      await client.query('commit');
    });
  }
}

/** Whether the catalogue is there. */
export async function hasCatalogue(servers: Servers): Promise<boolean> {
  return servers.with(servers.control, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      `select to_regclass('${OUR_SCHEMA}.import_source') is not null as there`,
    );
    return rows[0]!.there;
  });
}
