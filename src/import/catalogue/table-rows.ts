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

/** The version of a table that the reader registered; the first that it has when it is applied, or in the log, is 1. */
export const AHEAD = 0;

export type TableState = 'copying' | 'followed' | 'aside' | 'dropped';

/** A table as the catalogue knows it. */
export interface TableRow {
  readonly id: number;
  /** Its name in the catalogue; another than the source's while that is on its way to another table. */
  readonly registeredAs: string;
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly routing: StoredRouting;
  /** Counts the structures it has had; {@link AHEAD} when it was read of and is not there yet. */
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
  table_id::text as id, origin_table, routing, source_structure, target_structure, version, state, reason, chunks, copied_at,
  pending_indexes`;

function toRow(raw: Raw): TableRow {
  return {
    id: Number(raw.id),
    registeredAs: raw.origin_table as string,
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

/** Registers a table to copy, or takes it up anew with its present structure. An earlier copy is forgotten. */
export function putTable(client: Queryable, source: SourceRow, table: NewTable): Promise<TableRow> {
  return put(client, source, table, { state: 'copying', ahead: false });
}

/** Registers a table that the reader has met and that is to be made when what it read is applied. */
export function putTableAhead(client: Queryable, source: SourceRow, table: NewTable): Promise<TableRow> {
  return put(client, source, table, { state: 'followed', ahead: true });
}

async function put(
  client: Queryable,
  source: SourceRow,
  table: NewTable,
  { state, ahead }: { readonly state: TableState; readonly ahead: boolean },
): Promise<TableRow> {
  const { rows } = await client.query<Raw>(
    `insert into hypervault.import_table
       (source_id, origin_schema, origin_table, target_schema, target_table, routing, source_structure,
        target_structure, state, version)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, case when $10 then ${AHEAD} else 1 end)
     on conflict (source_id, origin_schema, origin_table) do update
        set target_schema = excluded.target_schema,
            target_table = excluded.target_table,
            routing = excluded.routing,
            source_structure = excluded.source_structure,
            target_structure = excluded.target_structure,
            version = case when $10 then ${AHEAD} else import_table.version + 1 end,
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
      ahead,
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

/** The copy shows one place of the log now. Whether the table is followed is no concern of this: it may be aside meanwhile. */
export async function setConsistentCopy(client: Queryable, tableId: number, all: bigint): Promise<void> {
  await client.query(
    `update hypervault.import_table
        set copied_at = $2,
            pending_indexes = '[]'
      where table_id = $1`,
    [tableId, printCopiedAt({ all, column: null, ranges: [] })],
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
