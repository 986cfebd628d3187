import type { Client } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { destroyClient } from '../../internal/client-guard.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { columnList, qualify } from '../apply/table-sql.ts';
import type { ChunkPlan } from '../catalogue/table-rows.ts';
import { ImportError } from '../errors.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { MappedTable } from '../model/target-table.ts';
import type { ChunkRange, ReadRequest, SnapshotReader } from '../source/snapshot.ts';
import { readStructures, unloggedChange, unspokenChange } from './catalogue/structure-now.ts';
import { explain } from './session.ts';

const NEWLINE = 0x0a;
const WHOLE_TYPES = new Set(['smallint', 'integer', 'bigint']);

/** Reads tables of a Postgres source as COPY lines, in one session. */
export class TableReader implements SnapshotReader {
  readonly #client: Client;
  /** Tables that the snapshot shows as they were surveyed. */
  readonly #asSurveyed = new Set<number>();

  constructor(client: Client) {
    this.#client = client;
  }

  columnsOf({ target }: MappedTable): readonly string[] {
    return target.columns.filter(({ generated }) => generated === null).map(({ name }) => name);
  }

  /** Cuts by the first column of the key when it is a whole number. */
  async plan(table: MappedTable, chunkRows: number): Promise<ChunkPlan> {
    const { identity } = table.target;
    const name = identity.kind === 'key' ? identity.columns[0] : undefined;
    const column = table.source.columns.find((candidate) => candidate.name === name);
    if (column === undefined || !WHOLE_TYPES.has(column.type) || table.source.estimatedRows < chunkRows * 1.5) {
      return { column: null, bounds: [] };
    }
    const key = quoteIdentifier(column.name);
    const place = qualify(table.source.schema, table.source.name);
    const bounds: string[] = [];
    const first = await this.#value(`select min(${key})::text as value from ${place}`);
    for (let last = first; last !== null; ) {
      let next = await this.#value(
        `select ${key}::text as value from ${place} where ${key} >= ${last} order by ${place}.${key} limit 1 offset ${chunkRows}`,
      );
      // Many rows with one value of the first column
      if (next === last)
        next = await this.#value(`select min(${key})::text as value from ${place} where ${key} > ${last}`);
      if (next !== null) bounds.push(next);
      last = next;
    }
    return { column: column.name, bounds };
  }

  async read({ table, range, signal, onLines, drained }: ReadRequest): Promise<void> {
    const { source } = table;
    await this.#assertAsSurveyed(source);
    const place = qualify(source.schema, source.name);
    const only = source.postgres?.partitioned === true ? '' : 'only ';
    const sql = `copy (select ${columnList(this.columnsOf(table))} from ${only}${place}${condition(range)}) to stdout`;
    const stream = this.#client.query(copyTo(sql, { highWaterMark: 256 * 1024 }));
    const onAbort = (): void => destroyClient(this.#client);
    signal?.addEventListener('abort', onAbort, { once: true });
    let rest: Buffer = Buffer.alloc(0);
    let refusal: { error: unknown } | undefined;
    try {
      signal?.throwIfAborted();
      for await (const data of stream as AsyncIterable<Buffer>) {
        // What the target refused is read to its end: the session, and the snapshot with it, is for the next table
        if (refusal !== undefined) continue;
        const block = rest.length === 0 ? data : Buffer.concat([rest, data]);
        const end = block.lastIndexOf(NEWLINE) + 1;
        rest = block.subarray(end);
        try {
          if (end > 0 && !onLines(block.subarray(0, end))) await drained();
        } catch (error) {
          refusal = { error };
        }
      }
    } catch (error) {
      throw explain(error, `${source.schema}.${source.name}`);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    if (refusal !== undefined) throw refusal.error;
    await drained();
  }

  /**
   * Between the survey and the snapshot – which may wait for transactions for long – a column can be added and filled.
   * The stream begins behind that and would never tell what older rows hold in it.
   * @throws ImportError
   */
  async #assertAsSurveyed(table: SourceTable): Promise<void> {
    const { oid } = table.postgres!;
    if (this.#asSurveyed.has(oid)) return;
    const now = (await readStructures(this.#client, [oid])).get(oid);
    const change = unspokenChange(table, now) ?? unloggedChange(table, now);
    if (change !== null) {
      throw new ImportError(
        'STRUCTURE_CHANGED',
        `${qualifiedName(table)} was changed between the survey and the copy: ${change}; copy it anew`,
      );
    }
    this.#asSurveyed.add(oid);
  }

  async #value(sql: string): Promise<string | null> {
    const { rows } = await this.#client.query<{ value: string | null }>(sql);
    return rows[0]?.value ?? null;
  }
}

function condition(range: ChunkRange | null): string {
  if (range === null) return '';
  const column = quoteIdentifier(range.column);
  const parts: string[] = [];
  if (range.from !== null) parts.push(`${column} >= ${range.from}`);
  if (range.to !== null) parts.push(`${column} < ${range.to}`);
  return parts.length === 0 ? '' : ` where ${parts.join(' and ')}`;
}
