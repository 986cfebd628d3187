import type { ChunkPlan } from '../catalogue/table-rows.ts';
import { parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceColumn } from '../model/source-table.ts';
import type { MappedTable, TargetColumn } from '../model/target-table.ts';
import type { ChunkRange, ReadRequest, SnapshotReader } from '../source/snapshot.ts';
import { copyLineExpression, qualifyMysql, quoteMysql } from './copy-line.ts';
import type { MysqlSession } from './session.ts';
import { readWideRows } from './wide-rows.ts';

/** Lines are gathered to blocks of this size: a write per row would cost more than the row. */
const BLOCK_BYTES = 128 * 1024;
const NEWLINE = 0x0a;
const WHOLE_TYPES = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint']);

/** Reads tables of a MySQL source as COPY lines, in one session. */
export class TableReader implements SnapshotReader {
  readonly #session: MysqlSession;

  constructor(session: MysqlSession) {
    this.#session = session;
  }

  columnsOf(table: MappedTable): readonly string[] {
    return copiedColumns(table).map(([, { name }]) => name);
  }

  /** Cuts by the first column of the key when it is a whole number: its order is the same everywhere. */
  async plan(table: MappedTable, chunkRows: number): Promise<ChunkPlan> {
    const { identity } = table.target;
    const name = identity.kind === 'key' ? identity.columns[0] : undefined;
    const column = table.source.columns.find((candidate) => candidate.name === name);
    const usable =
      column !== undefined && WHOLE_TYPES.has(parseMysqlType(column.type).name) && table.source.transactional;
    if (!usable || table.source.estimatedRows < chunkRows * 1.5) return { column: null, bounds: [] };
    const key = quoteMysql(column.name);
    const place = qualifyMysql(table.source);
    const bounds: string[] = [];
    const [lowest] = await this.#session.query<{ value: string | number | null }>(
      `select min(${key}) as value from ${place}`,
    );
    let last = lowest?.value ?? null;
    while (last !== null) {
      const [step] = await this.#session.query<{ value: string | number }>(
        `select ${key} as value from ${place} where ${key} >= ${last} order by ${key} limit 1 offset ${chunkRows}`,
      );
      if (step === undefined) break;
      let next: string | number | null = step.value;
      if (String(next) === String(last)) {
        const [further] = await this.#session.query<{ value: string | number | null }>(
          `select min(${key}) as value from ${place} where ${key} > ${last}`,
        );
        next = further?.value ?? null;
      }
      if (next === null) break;
      bounds.push(String(next));
      last = next;
    }
    return { column: column.name, bounds };
  }

  async read({ table, range, signal, onLines, drained }: ReadRequest): Promise<void> {
    const columns = copiedColumns(table);
    const from = `from ${qualifyMysql(table.source)}`;
    const condition = rangeCondition(range);
    const line = copyLineExpression(columns);
    let block = Buffer.allocUnsafe(BLOCK_BYTES);
    let length = 0;
    let wide = 0;
    const flush = (): boolean => {
      if (length === 0) return true;
      const full = block.subarray(0, length);
      block = Buffer.allocUnsafe(BLOCK_BYTES);
      length = 0;
      return onLines(full);
    };
    const onRow = ([bytes]: (Buffer | null)[]): boolean => {
      if (bytes === null || bytes === undefined) {
        wide += 1;
        return true;
      }
      let goOn = true;
      if (length + bytes.length + 1 > block.length) {
        goOn = flush();
        if (bytes.length + 1 > block.length) block = Buffer.allocUnsafe(bytes.length + 1);
      }
      bytes.copy(block, length);
      length += bytes.length;
      block[length++] = NEWLINE;
      return goOn;
    };
    const where = condition === null ? '' : ` where ${condition}`;
    await this.#session.stream(`select ${line} ${from}${where}`, onRow, drained, { signal });
    if (!flush()) await drained();
    if (wide === 0) return;
    const onlyWide = `${condition === null ? '' : `${condition} and `}${line} is null`;
    await readWideRows(this.#session, { columns, from, where: onlyWide, onLines, drained, signal, expected: wide });
  }
}

/** The columns that are copied, each with its source; generated ones that stay generated are not. */
export function copiedColumns({ source, target }: MappedTable): (readonly [SourceColumn, TargetColumn])[] {
  return target.columns.flatMap((column) => {
    if (column.generated !== null) return [];
    const origin = source.columns.find(({ name }) => name === column.name);
    return origin === undefined ? [] : [[origin, column] as const];
  });
}

function rangeCondition(range: ChunkRange | null): string | null {
  if (range === null) return null;
  const column = quoteMysql(range.column);
  const parts: string[] = [];
  if (range.from !== null) parts.push(`${column} >= ${range.from}`);
  if (range.to !== null) parts.push(`${column} < ${range.to}`);
  return parts.length === 0 ? null : parts.join(' and ');
}
