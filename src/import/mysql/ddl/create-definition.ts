import { type ColumnDefinition, readColumnDefinition } from './column-definition.ts';
import { type ForeignKeyDefinition, readForeignKey } from './foreign-key-clause.ts';
import { splitAtCommas, type TableName, type Token } from './tokens.ts';

export interface CreateDefinition {
  readonly columns: readonly ColumnDefinition[];
  readonly primaryKey: readonly string[];
  readonly foreignKeys: readonly ForeignKeyDefinition[];
}

/** Words that begin something else than a column. */
export const NOT_COLUMNS = /^(primary|unique|key|index|fulltext|spatial|vector|foreign|constraint|check|period)$/;

/** The columns and keys of CREATE TABLE; `null` when they were not understood. */
export function parseCreateDefinition(
  sql: string,
  tokens: readonly Token[],
  table: TableName,
): CreateDefinition | null {
  const columns: ColumnDefinition[] = [];
  const foreignKeys: ForeignKeyDefinition[] = [];
  let primaryKey: string[] = [];
  for (const part of splitAtCommas(sql, tokens)) {
    const first = part.peek()!;
    if (first.kind === 'word' && NOT_COLUMNS.test(first.text)) {
      const foreignKey = readForeignKey(part.fork(), table);
      if (foreignKey !== null) {
        foreignKeys.push(foreignKey);
        continue;
      }
      if (part.accept('constraint') && !part.sees('primary')) part.name();
      if (part.accept('primary', 'key')) {
        while (!part.done && !part.sees('(')) part.next();
        primaryKey = splitAtCommas(sql, part.parenthesized()).map((column) => column.name() ?? '');
      }
      continue;
    }
    const name = part.name();
    const definition = name === undefined ? null : readColumnDefinition(name, part, table.schema);
    if (definition === null) return null;
    if (definition.primaryKey) primaryKey = [definition.column.name];
    if (definition.references !== null) foreignKeys.push(definition.references);
    columns.push(definition);
  }
  return { columns, primaryKey, foreignKeys };
}
