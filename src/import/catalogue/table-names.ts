import type { Client, ClientBase } from 'pg';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import { inTransaction } from './servers.ts';
import type { SourceRow } from './source-rows.ts';
import type { TableState } from './table-rows.ts';

type Queryable = Pick<ClientBase, 'query'>;

/**
 * Runs work that gives tables their names, in a transaction and alone. The reader gives names ahead of what is applied
 * while the names of what was applied are noted; looking who has a name and giving it away must not come between.
 */
export function givingNames<Result>(client: Client, source: SourceRow, work: () => Promise<Result>): Promise<Result> {
  return inTransaction(client, async () => {
    await lockNames(client, source);
    return work();
  });
}

/** {@link givingNames}, for the rest of a transaction that is open. */
export async function lockNames(client: Queryable, source: SourceRow): Promise<void> {
  await client.query('select from hypervault.import_source where source_id = $1 for no key update', [
    source.id.toString(),
  ]);
}

/** Who has a name in the catalogue. */
export async function findNamed(
  client: Queryable,
  source: SourceRow,
  { schema, name }: Pick<SourceTable, 'schema' | 'name'>,
): Promise<{ readonly id: number; readonly state: TableState } | null> {
  const { rows } = await client.query<{ id: string; state: TableState }>(
    `select table_id::text as id, state
       from hypervault.import_table
      where source_id = $1
        and origin_schema = $2
        and origin_table = $3`,
    [source.id.toString(), schema, name],
  );
  return rows[0] === undefined ? null : { id: Number(rows[0].id), state: rows[0].state };
}

/**
 * Takes a table's name away in the catalogue, for another one has it. It is on the way to a name of its own, or to its
 * end: what the log says of that is read, and noted when it is applied.
 */
export async function freeName(client: Queryable, tableId: number): Promise<void> {
  await client.query(
    `update hypervault.import_table
        set origin_table = format('%s (%s)', origin_table, table_id)
      where table_id = $1`,
    [tableId],
  );
}

/** Stores the structure of a table after a statement that changed it. The version is the caller's, so that it can be repeated. */
export async function updateStructure(
  client: Queryable,
  source: SourceRow,
  table: { readonly id: number; readonly version: number; readonly source: SourceTable; readonly target: TargetTable },
): Promise<void> {
  const holder = await findNamed(client, source, table.source);
  if (holder !== null && holder.id !== table.id) await freeName(client, holder.id);
  await client.query(
    `update hypervault.import_table
        set origin_schema = $3,
            origin_table = $4,
            target_schema = $5,
            target_table = $6,
            source_structure = $7,
            target_structure = $8,
            version = $2
      where table_id = $1`,
    [
      table.id,
      table.version,
      table.source.schema,
      table.source.name,
      table.target.schema,
      table.target.name,
      JSON.stringify(table.source),
      JSON.stringify(table.target),
    ],
  );
}
