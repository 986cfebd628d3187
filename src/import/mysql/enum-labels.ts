import { parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceTable } from '../model/source-table.ts';
import { qualifyMysql, quoteMysql } from './copy-line.ts';
import type { MysqlSession } from './session.ts';

/**
 * MariaDB keeps the labels of ENUM in three-byte UTF-8 and shows a question mark for anything longer, an emoji for
 * instance, in information_schema and in SHOW CREATE TABLE alike; rows hold the true label. So for labels with a
 * question mark the rows are asked. A label that no row uses stays as it is shown.
 */
export async function repairEnumLabels(session: MysqlSession, table: SourceTable): Promise<SourceTable> {
  const doubtful = table.columns.filter(({ type }) => /^enum\(/i.test(type) && type.includes('?'));
  if (doubtful.length === 0) return table;
  const repaired = new Map<string, string>();
  for (const { name, type } of doubtful) {
    const column = quoteMysql(name);
    const rows = await session.query<{ number: number | string; label: string }>(
      `select distinct ${column} + 0 as number, cast(${column} as char) as label from ${qualifyMysql(table)} where ${column} + 0 > 0`,
    );
    const labels = [...parseMysqlType(type).labels];
    for (const { number, label } of rows) labels[Number(number) - 1] = label;
    const quoted = labels.map((label) => `'${label.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);
    repaired.set(name, `enum(${quoted.join(',')})`);
  }
  return {
    ...table,
    columns: table.columns.map((column) => ({ ...column, type: repaired.get(column.name) ?? column.type })),
  };
}
