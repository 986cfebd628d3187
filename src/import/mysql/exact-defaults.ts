import type { SourceColumn, SourceTable } from '../model/source-table.ts';
import { qualifyMysql, quoteMysql } from './copy-line.ts';
import type { MysqlSession } from './session.ts';

/**
 * MySQL's information_schema ends the default of a binary column at its first zero byte, and shows a question mark for
 * characters of more than three bytes. SHOW CREATE TABLE has them whole, as `0x…` where they are not plain.
 */
export async function readExactDefaults(session: MysqlSession, table: SourceTable): Promise<SourceTable> {
  if (!table.columns.some(isDoubtful)) return table;
  const [row] = await session.query<Record<string, string>>(`show create table ${qualifyMysql(table)}`);
  const lines = row!['Create Table']!.split('\n');
  return {
    ...table,
    columns: table.columns.map((column) => {
      if (!isDoubtful(column)) return column;
      const head = `  ${quoteMysql(column.name)} `;
      const line = lines.find((text) => text.startsWith(head)) ?? '';
      const found = /\sDEFAULT (?:0x(?<hex>[0-9A-F]*)|'(?<text>(?:[^'\\]|''|\\.)*)')/.exec(line)?.groups;
      if (found === undefined) return column;
      const bytes = found.hex === undefined ? Buffer.from(unquoted(found.text!)) : Buffer.from(found.hex, 'hex');
      return {
        ...column,
        default: isBinary(column)
          ? { kind: 'bytes', text: bytes.toString('hex') }
          : { kind: 'literal', text: bytes.toString() },
      };
    }),
  };
}

const isBinary = ({ type }: SourceColumn): boolean => /^(var)?binary\(/i.test(type);

function isDoubtful(column: SourceColumn): boolean {
  if (column.default === null || column.default.kind === 'expression') return false;
  return isBinary(column) || column.default.text.includes('?');
}

function unquoted(text: string): string {
  return text.replace(/''|\\(.)/gs, (_, letter: string | undefined) => {
    if (letter === undefined) return "'";
    return { '0': '\0', n: '\n', r: '\r', t: '\t', Z: '\x1a' }[letter] ?? letter;
  });
}
