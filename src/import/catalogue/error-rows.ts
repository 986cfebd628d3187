import type { ClientBase } from 'pg';
import type { SourceRow } from './source-rows.ts';

/** Something that went wrong, with what to do about it. */
export interface ErrorEntry {
  readonly phase: 'copy' | 'read' | 'replay' | 'statement' | 'detach' | 'switch';
  readonly tableId?: number | null | undefined;
  readonly table?: string | null | undefined;
  readonly message: string;
  /** The statement or the row it was about. */
  readonly sql?: string | null | undefined;
  readonly position?: string | null | undefined;
  readonly remedy?: string | null | undefined;
}

export interface ErrorRow extends ErrorEntry {
  readonly id: bigint;
  readonly source: string | null;
  readonly noted: Date;
}

type Queryable = Pick<ClientBase, 'query'>;

export async function noteError(client: Queryable, source: SourceRow, entry: ErrorEntry): Promise<bigint> {
  const { rows } = await client.query<{ id: string }>(
    `insert into hypervault.import_error (source_id, table_id, table_name, phase, message, sql, position, remedy)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     returning error_id::text as id`,
    [
      source.id.toString(),
      entry.tableId ?? null,
      entry.table ?? null,
      entry.phase,
      entry.message,
      entry.sql?.replaceAll('\0', '') ?? null,
      entry.position ?? null,
      entry.remedy ?? null,
    ],
  );
  return BigInt(rows[0]!.id);
}

/** Which errors to list. */
export interface ErrorFilter {
  readonly source?: string | undefined;
  readonly id?: bigint | undefined;
  /** @default 1000 */
  readonly limit?: number | undefined;
}

/** The errors, newest first. */
export async function listErrors(client: Queryable, filter: ErrorFilter): Promise<ErrorRow[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select e.error_id::text as id, s.name as source, e.table_id::text as table_id, e.table_name, e.phase, e.message,
            e.sql, e.position, e.remedy, e.noted
       from hypervault.import_error e
       left join hypervault.import_source s using (source_id)
      where ($1::text is null or s.name = $1)
        and ($2::bigint is null or e.error_id = $2)
      order by e.error_id desc
      limit $3`,
    [filter.source ?? null, filter.id?.toString() ?? null, filter.limit ?? 1_000],
  );
  return rows.map((row) => ({
    id: BigInt(row.id as string),
    source: row.source as string | null,
    tableId: row.table_id === null ? null : Number(row.table_id),
    table: row.table_name as string | null,
    phase: row.phase as ErrorEntry['phase'],
    message: row.message as string,
    sql: row.sql as string | null,
    position: row.position as string | null,
    remedy: row.remedy as string | null,
    noted: row.noted as Date,
  }));
}

/** What was made of a statement of the source. */
export type StatementOutcome = 'followed' | 'harmless' | 'unknown' | 'set aside';

export interface StatementEntry {
  readonly outcome: StatementOutcome;
  readonly schema: string;
  readonly sql: string;
  readonly position: string;
  readonly sourceTimeMs: number;
}

/** Records a statement; the same one read again after a restart is recorded once. */
export async function noteStatement(client: Queryable, source: SourceRow, entry: StatementEntry): Promise<void> {
  await client.query(
    `insert into hypervault.import_statement (source_id, outcome, origin_schema, sql, position, source_time)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (source_id, position) do nothing`,
    [
      source.id.toString(),
      entry.outcome,
      entry.schema,
      entry.sql.replaceAll('\0', ''),
      entry.position,
      new Date(entry.sourceTimeMs),
    ],
  );
}
