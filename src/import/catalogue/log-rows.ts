import type { ClientBase } from 'pg';
import type { Position } from '../model/position.ts';
import type { SourceRow } from './source-rows.ts';

/** A batch that was read and not yet applied. */
export interface LogSegment {
  readonly segment: bigint;
  readonly payload: Buffer;
}

type Queryable = Pick<ClientBase, 'query'>;

/** Appends a batch, in the caller's transaction. */
export async function appendLog(
  client: Queryable,
  source: SourceRow,
  batch: {
    readonly complete: boolean;
    readonly end: Position | null;
    readonly changes: number;
    /** Whether it says something of XA transactions. */
    readonly prepared: boolean;
    readonly payload: Buffer;
  },
): Promise<void> {
  const { complete, end, changes, prepared, payload } = batch;
  await client.query(
    `insert into hypervault.import_log (source_id, complete, ordinal, position, gtid, changes, payload, prepared)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      source.id.toString(),
      complete,
      end?.ordinal.toString() ?? null,
      end?.text ?? null,
      end?.gtid ?? null,
      changes,
      payload,
      prepared,
    ],
  );
}

/** The next segment behind `after`, or `null`. */
export async function nextLog(client: Queryable, source: SourceRow, after: bigint): Promise<LogSegment | null> {
  const { rows } = await client.query<{ segment: string; payload: Buffer }>(
    `select l.segment::text as segment, l.payload
       from hypervault.import_log l
      where l.source_id = $1
        and l.segment > $2
      order by l.segment
      limit 1`,
    [source.id.toString(), after.toString()],
  );
  const [row] = rows;
  return row === undefined ? null : { segment: BigInt(row.segment), payload: row.payload };
}

/** The segments that say something of XA transactions, in their order. */
export async function logOfPrepared(client: Queryable, source: SourceRow): Promise<Buffer[]> {
  const { rows } = await client.query<{ payload: Buffer }>(
    `select l.payload
       from hypervault.import_log l
      where l.source_id = $1
        and l.prepared
      order by l.segment`,
    [source.id.toString()],
  );
  return rows.map(({ payload }) => payload);
}

/** Where the log of read changes ends: the place to read on from. `null` when it is empty. */
export async function endOfLog(client: Queryable, source: SourceRow): Promise<Position | null> {
  const { rows } = await client.query<{ ordinal: string; position: string; gtid: string | null }>(
    `select ordinal::text as ordinal, position, gtid
       from hypervault.import_log
      where source_id = $1
        and complete
      order by segment desc
      limit 1`,
    [source.id.toString()],
  );
  const [row] = rows;
  return row === undefined ? null : { ordinal: BigInt(row.ordinal), text: row.position, gtid: row.gtid };
}

/** Takes away parts of a transaction at the end of the log whose rest was never read. */
export async function trimLog(client: Queryable, source: SourceRow): Promise<void> {
  await client.query(
    `delete from hypervault.import_log
      where source_id = $1
        and segment > coalesce((select max(l.segment) from hypervault.import_log l where l.source_id = $1 and l.complete), 0)`,
    [source.id.toString()],
  );
}

/** Forgets what is applied; everything when `upTo` is left out. */
export async function deleteLog(client: Queryable, source: SourceRow, upTo?: bigint): Promise<void> {
  await client.query(
    'delete from hypervault.import_log where source_id = $1 and ($2::bigint is null or segment <= $2)',
    [source.id.toString(), upTo?.toString() ?? null],
  );
}
