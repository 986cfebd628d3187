import type { ClientBase } from 'pg';
import type { Position } from '../model/position.ts';
import type { AlteredValue } from '../stream/batch.ts';

/** A chunk that is done on a server. */
export interface ChunkRow {
  readonly tableId: number;
  readonly chunk: number;
  readonly position: Position;
  readonly rows: number;
}

type Queryable = Pick<ClientBase, 'query'>;

export async function listChunks(
  client: Queryable,
  sourceKey: string,
  tableIds: readonly number[],
): Promise<ChunkRow[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select table_id::text as table_id, chunk, ordinal::text as ordinal, position, gtid, rows::text as rows
       from hypervault.import_chunk
      where source = $1
        and table_id = any($2::bigint[])`,
    [sourceKey, tableIds],
  );
  return rows.map((row) => ({
    tableId: Number(row.table_id),
    chunk: row.chunk as number,
    position: { ordinal: BigInt(row.ordinal as string), text: row.position as string, gtid: row.gtid as string | null },
    rows: Number(row.rows),
  }));
}

/** Marks a chunk done, in the transaction that copied its rows. */
export async function insertChunk(client: Queryable, sourceKey: string, chunk: ChunkRow): Promise<void> {
  const { tableId, position, rows } = chunk;
  await client.query(
    `insert into hypervault.import_chunk (source, table_id, chunk, ordinal, position, gtid, rows)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [sourceKey, tableId, chunk.chunk, position.ordinal.toString(), position.text, position.gtid, rows],
  );
}

export async function deleteChunks(client: Queryable, sourceKey: string, tableIds: readonly number[]): Promise<void> {
  await client.query('delete from hypervault.import_chunk where source = $1 and table_id = any($2::bigint[])', [
    sourceKey,
    tableIds,
  ]);
}

/** Counts and lists values that a policy replaced, in the transaction of their rows. */
export async function noteAltered(
  client: Queryable,
  sourceKey: string,
  values: readonly (AlteredValue & { readonly tableId: number })[],
): Promise<void> {
  if (values.length === 0) return;
  const json = values.map(({ tableId, column, key, original, replacement }) => ({
    table_id: tableId,
    column,
    key: printable(key),
    original: printable(original),
    replacement,
  }));
  await client.query('select hypervault.import_note_altered_values($1, $2)', [sourceKey, JSON.stringify(json)]);
}

/** Postgres stores no NUL, and a list of examples needs no whole novels. */
function printable(text: string): string {
  return text.replaceAll('\0', '␀').slice(0, 1_000);
}
