import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import { dropViews, restoreViews, type SavedView, saveGrants, saveViews } from '../ddl/user-objects.ts';
import { loadingSchema } from '../mapping/names.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { Destination } from '../route/router.ts';

/** A table that shall take its place on a server. */
export interface TableToSwap {
  readonly target: TargetTable;
  /** Its places on this server. */
  readonly destinations: readonly Destination[];
}

/**
 * Puts the loaded tables in the place of the old ones, all of a server's in the transaction that the caller has open.
 * What the user made on the old ones comes back: views (and views on views), grants. Takes ACCESS EXCLUSIVE on the
 * old tables for as long as that takes, no longer than `lock_timeout` waiting for it.
 *
 * @returns the views that do not fit the new tables; they are gone
 */
export async function swapTables(
  client: Client,
  tables: readonly TableToSwap[],
  { lockTimeoutMs, grantSelectTo }: { lockTimeoutMs: number; grantSelectTo: readonly string[] },
): Promise<{ view: SavedView; reason: string }[]> {
  await client.query(`set local lock_timeout = ${Math.round(lockTimeoutMs)}`);
  const places = tables.flatMap(({ target, destinations }) =>
    destinations.map(({ schema }) => ({ schema, name: target.name })),
  );
  const views = await saveViews(client, places);
  await dropViews(client, views);
  for (const { target, destinations } of tables) {
    for (const { schema } of destinations) await swapTable(client, target, schema, grantSelectTo);
  }
  return restoreViews(client, views);
}

async function swapTable(
  client: Client,
  target: TargetTable,
  schema: string,
  grantSelectTo: readonly string[],
): Promise<void> {
  const loading = loadingSchema(schema);
  const place = qualify(schema, target.name);
  const grants = await saveGrants(client, schema, target.name);
  // Foreign keys from other tables go with the old table; they come back at detach
  await client.query(`drop table if exists ${place} cascade`);
  for (const { enumeration } of target.columns) {
    if (enumeration === null) continue;
    await client.query(`drop type if exists ${qualify(schema, enumeration.name)}`);
    await client.query(`alter type ${qualify(loading, enumeration.name)} set schema ${quoteIdentifier(schema)}`);
  }
  await client.query(`alter table ${qualify(loading, target.name)} set schema ${quoteIdentifier(schema)}`);
  for (const grant of grants) await client.query(grant);
  for (const role of grantSelectTo) await client.query(`grant select on ${place} to ${quoteIdentifier(role)}`);
}
