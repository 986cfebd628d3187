import type { TargetTable } from '../model/target-table.ts';

/** Types whose values are told apart by their text alone, which needs no quoting within an array. */
const PLAIN = new Set(['smallint', 'integer', 'bigint', 'uuid']);

/**
 * The types of key columns when keys can be sent as one array for each of them, without a table to put them into:
 * measured on keys that are a bigint this saves two round trips a batch. `null` when a column is of another type – text
 * has a collation, which an array would lose – or may hold NULL.
 */
export function keyArrays(target: TargetTable, columns: readonly string[]): readonly string[] | null {
  const types: string[] = [];
  for (const name of columns) {
    const column = target.columns.find((candidate) => candidate.name === name);
    if (column === undefined || column.nullable || !PLAIN.has(column.type)) return null;
    types.push(column.type);
  }
  return types;
}

/** Array literals, one for each column, of keys whose fields are joined by tabs. */
export function arrayTexts(keys: readonly string[], columns: number): string[] {
  if (columns === 1) return [`{${keys.join(',')}}`];
  const values: string[][] = Array.from({ length: columns }, () => []);
  for (const key of keys) {
    for (const [index, value] of key.split('\t').entries()) values[index]!.push(value);
  }
  return values.map((column) => `{${column.join(',')}}`);
}
