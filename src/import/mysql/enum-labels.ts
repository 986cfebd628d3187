import { parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceColumn, SourceTable } from '../model/source-table.ts';
import { qualifyMysql, quoteMysql } from './copy-line.ts';
import type { MysqlSession } from './session.ts';

/**
 * Servers keep the labels of ENUM in three-byte UTF-8 and show a question mark for anything longer, an emoji for
 * instance, in information_schema and in SHOW CREATE TABLE alike; rows hold the true label. So for labels with a
 * question mark the rows are asked. A label that no row uses stays as it is shown.
 */
export async function repairEnumLabels(session: MysqlSession, table: SourceTable): Promise<SourceTable> {
  const doubtful = table.columns.filter(({ type }) => /^enum\(/i.test(type) && type.includes('?'));
  if (doubtful.length === 0) return table;
  const repaired = new Map<string, Pick<SourceColumn, 'type' | 'default'>>();
  for (const { name, type, default: shown } of doubtful) {
    const column = quoteMysql(name);
    const rows = await session.query<{ number: number | string; label: string }>(
      `select distinct ${column} + 0 as number, cast(${column} as char) as label from ${qualifyMysql(table)} where ${column} + 0 > 0`,
    );
    const before = parseMysqlType(type).labels;
    const labels = [...before];
    for (const { number, label } of rows) labels[Number(number) - 1] = label;
    const quoted = labels.map((label) => `'${label.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);
    // The default is shown in the same way
    const which = shown?.kind === 'literal' ? before.indexOf(shown.text) : -1;
    const meant = which === -1 ? shown : { kind: 'literal' as const, text: labels[which]! };
    repaired.set(name, { type: `enum(${quoted.join(',')})`, default: meant });
  }
  return { ...table, columns: table.columns.map((column) => ({ ...column, ...repaired.get(column.name) })) };
}
