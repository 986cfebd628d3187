import { LineBuffer } from '../copy-text/line-buffer.ts';
import { ImportError } from '../errors.ts';
import type { SourceColumn } from '../model/source-table.ts';
import type { TargetColumn } from '../model/target-table.ts';
import { quoteMysql, valueExpression } from './copy-line.ts';
import type { MysqlSession, RawRow } from './session.ts';

export interface WideRowsRequest {
  readonly columns: readonly (readonly [SourceColumn, TargetColumn])[];
  readonly from: string;
  readonly where: string;
  /** How many rows there must be. */
  readonly expected: number;
  readonly onLines: (lines: Buffer) => boolean;
  readonly drained: () => Promise<void>;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads rows whose COPY line outgrows `max_allowed_packet` (a blob takes twice its size there), column by column, and
 * writes the lines here.
 */
export async function readWideRows(session: MysqlSession, request: WideRowsRequest): Promise<void> {
  const list = request.columns.map(([source, target]) => rawExpression(source, target)).join(', ');
  let rows = 0;
  const onRow = (row: RawRow): boolean => {
    rows += 1;
    return request.onLines(lineOf(row, request.columns));
  };
  await session.stream(`select ${list} ${request.from} where ${request.where}`, onRow, request.drained, {
    signal: request.signal,
  });
  if (rows !== request.expected) {
    throw new ImportError(
      'WIDE_ROWS',
      `${request.expected} rows outgrew max_allowed_packet of the source and only ${rows} could be read again; raise it there`,
    );
  }
}

/** Bytes and text as they are; anything else is short and comes as in the line. */
function rawExpression(source: SourceColumn, target: TargetColumn): string {
  const column = quoteMysql(source.name);
  switch (target.form) {
    case 'bytea':
      return `cast(${column} as binary)`;
    case 'text':
    case 'json':
      return `cast(convert(${column} using utf8mb4) as binary)`;
    default:
      return `cast(${valueExpression(column, source, target)} as binary)`;
  }
}

function lineOf(row: RawRow, columns: WideRowsRequest['columns']): Buffer {
  const out = new LineBuffer(1024);
  columns.forEach(([, target], index) => {
    if (index > 0) out.tab();
    const bytes = row[index] ?? null;
    if (bytes === null) out.null();
    else if (target.form === 'bytea') out.hex(bytes, 0, bytes.length);
    else if (target.form === 'text' || target.form === 'json') out.escaped(bytes, 0, bytes.length);
    else out.raw(bytes);
  });
  out.newline();
  return out.view();
}
