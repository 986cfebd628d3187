import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { inTransaction } from '../catalogue/servers.ts';
import { createTableStatements } from '../ddl/create-table.ts';
import { dropTableStatements } from '../ddl/drop-table.ts';
import { HOME, runStatements, SCHEMA } from '../ddl/run-statements.ts';
import { ensureTypeStatements, enumLabelStatements } from '../ddl/user-types.ts';
import { loadingSchema } from '../mapping/names.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { TableCopy } from './copy-job.ts';

/**
 * Makes the tables into which rows are loaded, on one server, in schemas of their own: what is in use stays as it is
 * until the swap. Tables in `keep` go on from an earlier run.
 */
export async function prepareTarget(
  client: Client,
  server: string,
  copies: readonly TableCopy[],
  { keep, fillfactors }: { keep: ReadonlySet<number>; fillfactors: ReadonlyMap<string, number> },
): Promise<void> {
  const schemas = new Set<string>();
  for (const copy of copies) {
    for (const destination of copy.router.destinations) {
      if (destination.server !== server) continue;
      if (destination.shard === null) schemas.add(destination.schema);
      schemas.add(loadingSchema(destination.schema));
    }
  }
  for (const schema of schemas) await client.query(`create schema if not exists ${quoteIdentifier(schema)}`);
  for (const copy of copies) {
    if (!copy.servers.includes(server)) continue;
    const { needs } = copy.row.target;
    for (const statement of [...ensureTypeStatements(needs), ...enumLabelStatements(needs)])
      await client.query(statement);
  }
  for (const copy of copies) {
    if (keep.has(copy.row.id)) continue;
    const { target, source } = copy.row;
    const create = target.kept
      ? [likeStatement(target)]
      : createTableStatements(target, { fillfactor: fillfactors.get(qualifiedName(source)) });
    await inTransaction(client, async () => {
      for (const destination of copy.router.destinations) {
        if (destination.server !== server) continue;
        const schema = loadingSchema(destination.schema);
        await runStatements(client, target.kept ? [dropTable(target)] : dropTableStatements(target), schema);
        await runStatements(client, create, schema, destination.schema);
      }
    });
  }
}

/** A table to load into, with the columns of the one that is kept. */
function likeStatement({ name }: TargetTable): string {
  const table = quoteIdentifier(name);
  return `create table ${SCHEMA}.${table} (like ${HOME}.${table} including defaults including generated including identity)`;
}

function dropTable({ name }: TargetTable): string {
  return `drop table if exists ${SCHEMA}.${quoteIdentifier(name)}`;
}

/** Takes the loading schemas away when nothing is left in them. */
export async function dropLoadingSchemas(client: Client, schemas: Iterable<string>): Promise<void> {
  for (const schema of schemas) {
    const name = loadingSchema(schema);
    const { rows } = await client.query<{ empty: boolean }>(
      `select not exists (
         select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
       ) as empty`,
      [name],
    );
    if (rows[0]!.empty) await client.query(`drop schema if exists ${quoteIdentifier(name)} cascade`);
  }
}
