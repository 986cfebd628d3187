import type { ClientBase } from 'pg';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';

/** How far a source is applied on one server. */
export interface PositionRow {
  readonly position: Position;
  readonly sourceTime: Date | null;
  readonly changes: bigint;
  readonly transactions: bigint;
  readonly statements: bigint;
  readonly applied: Date;
}

type Queryable = Pick<ClientBase, 'query'>;

export async function readPosition(client: Queryable, sourceKey: string): Promise<PositionRow | null> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select ordinal::text as ordinal, position, gtid, source_time, changes::text as changes,
            transactions::text as transactions, statements::text as statements, applied
       from hypervault.import_position
      where source = $1`,
    [sourceKey],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    position: { ordinal: BigInt(row.ordinal as string), text: row.position as string, gtid: row.gtid as string | null },
    sourceTime: row.source_time as Date | null,
    changes: BigInt(row.changes as string),
    transactions: BigInt(row.transactions as string),
    statements: BigInt(row.statements as string),
    applied: row.applied as Date,
  };
}

export async function setPosition(
  client: Queryable,
  sourceKey: string,
  { ordinal, text, gtid }: Position,
): Promise<void> {
  await client.query('select hypervault.import_set_position($1, $2, $3, $4)', [
    sourceKey,
    ordinal.toString(),
    text,
    gtid,
  ]);
}

/**
 * Takes the row of the position for the caller's transaction, and tells where it stands; `null` when there is none. Waits
 * for whoever has it: the session of a killed process ends what it was told last before it notices that nobody listens.
 */
export async function holdPosition(client: Queryable, sourceKey: string): Promise<bigint | null> {
  const { rows } = await client.query<{ ordinal: string }>({
    name: 'hv_import_hold_position',
    text: 'select ordinal::text as ordinal from hypervault.import_position where source = $1 for no key update',
    values: [sourceKey],
  });
  return rows[0] === undefined ? null : BigInt(rows[0].ordinal);
}

/** What a batch adds to the stored position. */
export interface PositionAdvance {
  readonly from: bigint;
  readonly to: Position;
  readonly sourceTimeMs: number;
  readonly changes: number;
  readonly transactions: number;
  readonly statements: number;
}

/** @throws an error with SQLSTATE SV020 when another worker was here */
export async function storePosition(client: Queryable, sourceKey: string, advance: PositionAdvance): Promise<void> {
  const { from, to, sourceTimeMs } = advance;
  await client.query({
    name: 'hv_import_store_position',
    text: 'select hypervault.import_store_position($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    values: [
      sourceKey,
      from.toString(),
      to.ordinal.toString(),
      to.text,
      to.gtid,
      sourceTimeMs === 0 ? null : new Date(sourceTimeMs),
      advance.changes,
      advance.transactions,
      advance.statements,
    ],
  });
}

/** The structure of a table at the place of the log that a server has applied. */
export interface StructureRow {
  readonly tableId: number;
  readonly version: number;
  readonly source: SourceTable;
  readonly target: TargetTable;
}

export async function listStructures(client: Queryable, sourceKey: string): Promise<StructureRow[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select table_id::text as table_id, version, source_structure, target_structure
       from hypervault.import_structure
      where source = $1`,
    [sourceKey],
  );
  return rows.map((row) => ({
    tableId: Number(row.table_id),
    version: row.version as number,
    source: row.source_structure as SourceTable,
    target: row.target_structure as TargetTable,
  }));
}

export async function putStructure(client: Queryable, sourceKey: string, structure: StructureRow): Promise<void> {
  await client.query(
    `insert into hypervault.import_structure (source, table_id, version, source_structure, target_structure)
     values ($1, $2, $3, $4, $5)
     on conflict (source, table_id) do update
        set version = excluded.version,
            source_structure = excluded.source_structure,
            target_structure = excluded.target_structure`,
    [
      sourceKey,
      structure.tableId,
      structure.version,
      JSON.stringify(structure.source),
      JSON.stringify(structure.target),
    ],
  );
}

export async function deleteStructure(client: Queryable, sourceKey: string, tableId: number): Promise<void> {
  await client.query('delete from hypervault.import_structure where source = $1 and table_id = $2', [
    sourceKey,
    tableId,
  ]);
}

/** Takes away everything a server keeps about a source. */
export async function forgetSource(client: Queryable, sourceKey: string): Promise<void> {
  for (const table of [
    'import_position',
    'import_structure',
    'import_chunk',
    'import_altered_column',
    'import_altered_value',
    'import_prepared',
  ]) {
    await client.query(`delete from hypervault.${table} where source = $1`, [sourceKey]);
  }
}
