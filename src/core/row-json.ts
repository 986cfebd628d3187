import { InvalidArgumentError } from '../errors.ts';

/** Column values as callers give them; the server casts each to the type of its column. */
export type RowInput = Readonly<Record<string, unknown>>;

/**
 * One row as a JSON object that `json_populate_record` turns back into typed columns, without losing anything:
 * bigint as digits, bytes as hex, dates as ISO text, `NaN` and the infinities by name.
 *
 * @throws InvalidArgumentError naming the column, for what no column can hold unchanged
 */
export function rowToJson(row: RowInput, columns: readonly string[]): string {
  let text = '';
  for (const column of columns) {
    text += `${text === '' ? '{' : ','}${JSON.stringify(column)}:${valueToJson(row[column], column)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** The columns a row names: those that are not `undefined`, sorted. */
export function columnsOf(row: RowInput): string[] {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    throw new InvalidArgumentError('a row is an object of column values');
  }
  return Object.keys(row)
    .filter((column) => row[column] !== undefined)
    .sort();
}

function valueToJson(value: unknown, column: string): string {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case 'string':
      return textToJson(value, column);
    case 'object':
      return objectToJson(value, column);
    default:
      throw new InvalidArgumentError(`column ${JSON.stringify(column)}: a ${typeof value} can't be stored`);
  }
}

function textToJson(value: string, column: string): string {
  if (value.includes('\0')) {
    throw new InvalidArgumentError(`column ${JSON.stringify(column)} holds a NUL character; Postgres has no such text`);
  }
  if (/\p{Surrogate}/u.test(value)) {
    throw new InvalidArgumentError(`column ${JSON.stringify(column)} holds half of a surrogate pair`);
  }
  return JSON.stringify(value);
}

function objectToJson(value: object | null, column: string): string {
  if (value === null) return 'null';
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) {
      throw new InvalidArgumentError(`column ${JSON.stringify(column)}: the date is invalid`);
    }
    return `"${value.toISOString()}"`;
  }
  if (value instanceof Uint8Array) return `"\\\\x${Buffer.from(value).toString('hex')}"`;
  // Inside JSON columns and arrays: what JSON would alter in silence is refused.
  return JSON.stringify(value, (key, inner: unknown) => {
    if (typeof inner === 'bigint' || (typeof inner === 'number' && !Number.isFinite(inner))) {
      throw new InvalidArgumentError(
        `column ${JSON.stringify(column)}: ${key === '' ? 'it' : JSON.stringify(key)} holds ${String(inner)}, which JSON can't; give a text`,
      );
    }
    if (typeof inner === 'string') textToJson(inner, column);
    return inner;
  });
}
