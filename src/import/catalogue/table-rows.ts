import type { ClientBase } from 'pg';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetIndex, TargetTable } from '../model/target-table.ts';
import type { CopiedAt } from '../stream/followed-table.ts';
import type { SourceRow } from './source-rows.ts';

/** How a table's rows find their place. */
export type StoredRouting =
  | { readonly kind: 'one' }
  | { readonly kind: 'reference' }
  | { readonly kind: 'by'; readonly columns: readonly string[] };

/** How the copy of a table is cut: chunk `n` holds values from `bounds[n − 1]` up to, but without, `bounds[n]`. */
export interface ChunkPlan {
  /** The chunked column; `null` for a table that is copied in one piece. */
  readonly column: string | null;
  /** Decimal strings; one fewer than there are chunks. */
  readonly bounds: readonly string[];
}

export type TableState = 'copying' | 'followed' | 'aside' | 'dropped';

/** A table as the catalogue knows it. */
export interface TableRow {
  readonly id: number;
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly routing: StoredRouting;
  readonly version: number;
  readonly state: TableState;
  readonly reason: string | null;
  readonly chunks: ChunkPlan | null;
  readonly copiedAt: CopiedAt | null;
  readonly pendingIndexes: readonly TargetIndex[];
}

type Queryable = Pick<ClientBase, 'query'>;
type Raw = Record<string, unknown>;

const COLUMNS = `
  table_id::text as id, routing, source_structure, target_structure, version, state, reason, chunks, copied_at,
  pending_indexes`;

function toRow(raw: Raw): TableRow {
  return {
    id: Number(raw.id),
    source: raw.source_structure as SourceTable,
    target: raw.target_structure as TargetTable,
    routing: raw.routing as StoredRouting,
    version: raw.version as number,
    state: raw.state as TableState,
    reason: raw.reason as string | null,
    chunks: raw.chunks as ChunkPlan | null,
    copiedAt: raw.copied_at === null ? null : parseCopiedAt(raw.copied_at as StoredCopiedAt),
    pendingIndexes: raw.pending_indexes as TargetIndex[],
  };
}

/** JSON has no bigint: ordinals stand as decimal strings. */
interface StoredCopiedAt {
  readonly all: string;
  readonly column: string | null;
  readonly ranges: readonly { readonly from: string; readonly ordinal: string }[];
}

function parseCopiedAt({ all, column, ranges }: StoredCopiedAt): CopiedAt {
  return {
    all: BigInt(all),
    column,
    ranges: ranges.map(({ from, ordinal }) => ({ from: BigInt(from), ordinal: BigInt(ordinal) })),
  };
}

function printCopiedAt({ all, column, ranges }: CopiedAt): string {
  return JSON.stringify({
    all: all.toString(),
    column,
    ranges: ranges.map(({ from, ordinal }) => ({ from: from.toString(), ordinal: ordinal.toString() })),
  });
}

export async function listTables(client: Queryable, source: SourceRow): Promise<TableRow[]> {
  const { rows } = await client.query<Raw>(
    `select ${COLUMNS}
       from hypervault.import_table
      where source_id = $1
      order by origin_schema, origin_table`,
    [source.id.toString()],
  );
  return rows.map(toRow);
}

export interface NewTable {
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly routing: StoredRouting;
}

/** Registers a table, or takes it up anew with its present structure. Chunks and places of an earlier copy are forgotten. */
export async function putTable(
  client: Queryable,
  source: SourceRow,
  table: NewTable,
  state: TableState = 'copying',
): Promise<TableRow> {
  const { rows } = await client.query<Raw>(
    `insert into hypervault.import_table
       (source_id, origin_schema, origin_table, target_schema, target_table, routing, source_structure,
        target_structure, state)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (source_id, origin_schema, origin_table) do update
        set target_schema = excluded.target_schema,
            target_table = excluded.target_table,
            routing = excluded.routing,
            source_structure = excluded.source_structure,
            target_structure = excluded.target_structure,
            version = import_table.version + 1,
            state = excluded.state,
            reason = null,
            chunks = null,
            copied_at = null,
            pending_indexes = '[]'
     returning ${COLUMNS}`,
    [
      source.id.toString(),
      table.source.schema,
      table.source.name,
      table.target.schema,
      table.target.name,
      JSON.stringify(table.routing),
      JSON.stringify(table.source),
      JSON.stringify(table.target),
      state,
    ],
  );
  return toRow(rows[0]!);
}

export async function setChunks(client: Queryable, tableId: number, chunks: ChunkPlan): Promise<void> {
  await client.query('update hypervault.import_table set chunks = $2 where table_id = $1', [
    tableId,
    JSON.stringify(chunks),
  ]);
}

export async function setCopied(
  client: Queryable,
  tableId: number,
  copiedAt: CopiedAt,
  pendingIndexes: readonly TargetIndex[],
): Promise<void> {
  await client.query(
    `update hypervault.import_table
        set copied_at = $2,
            pending_indexes = $3,
            state = 'followed',
            reason = null
      where table_id = $1`,
    [tableId, printCopiedAt(copiedAt), JSON.stringify(pendingIndexes)],
  );
}

export async function setTableState(
  client: Queryable,
  tableId: number,
  state: TableState,
  reason: string | null,
): Promise<void> {
  await client.query('update hypervault.import_table set state = $2, reason = $3 where table_id = $1', [
    tableId,
    state,
    reason,
  ]);
}

/** Takes note that a table's end was read; its name is free for another from then on. */
export async function setDropped(client: Queryable, tableId: number): Promise<void> {
  await client.query(
    `update hypervault.import_table
        set state = 'dropped',
            origin_table = origin_table || ' (dropped ' || table_id || ')'
      where table_id = $1`,
    [tableId],
  );
}

export async function deleteTable(client: Queryable, tableId: number): Promise<void> {
  await client.query('delete from hypervault.import_table where table_id = $1', [tableId]);
}
