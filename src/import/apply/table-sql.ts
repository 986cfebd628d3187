import { quoteIdentifier } from '../../internal/quote.ts';
import type { TargetTable } from '../model/target-table.ts';

/** `"schema"."table"`. */
export function qualify(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

export function columnList(columns: readonly string[]): string {
  return columns.map(quoteIdentifier).join(', ');
}

/** COPY of lines with these columns. */
export function copySql(schema: string, table: string, columns: readonly string[]): string {
  return `copy ${qualify(schema, table)} (${columnList(columns)}) from stdin`;
}

/** Columns whose type has no `=`: compared by their text. */
const WITHOUT_EQUALITY = /^(json|xml|point|box|circle|path|polygon|geometry)\b/;

/** `t.a = k.a and …`; NULL equals NULL where a key may hold it. */
export function matchSql(target: TargetTable, columns: readonly string[], left: string, right: string): string {
  return columns
    .map((name) => {
      const column = target.columns.find((candidate) => candidate.name === name);
      const quoted = quoteIdentifier(name);
      const cast = column !== undefined && WITHOUT_EQUALITY.test(column.type) ? '::text' : '';
      const operator = column?.nullable === false ? '=' : 'is not distinct from';
      return `${left}.${quoted}${cast} ${operator} ${right}.${quoted}${cast}`;
    })
    .join('\n   and ');
}
