import { escapeField, splitFields, unescapeField } from '../copy-text/fields.ts';
import { UnrepresentableValueError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { TargetColumn, TargetTable } from '../model/target-table.ts';
import type { AlteredValue } from '../stream/batch.ts';
import { copyArrayLiteral } from './column-default.ts';

const TAB = Buffer.from('\t');

/**
 * Applies the value policies to a line that holds NUL characters, the mark of values that the target cannot hold.
 * Copied and streamed lines come through here alike.
 *
 * @param columns - the columns of the line, in its order
 * @throws UnrepresentableValueError when the policy of a column is `error`
 */
export function settleLine(
  line: Uint8Array,
  table: Pick<TargetTable, 'columns' | 'identity'> & {
    readonly source: { readonly schema: string; readonly name: string };
  },
  columns: readonly string[],
): { line: Buffer; altered: AlteredValue[] } {
  const fields = splitFields(line);
  const altered: { column: string; original: string; replacement: string | null }[] = [];
  const settled = fields.map((field, index) => {
    if (!field.includes(0)) return field;
    const column = table.columns.find(({ name }) => name === columns[index])!;
    const { text, original } = settleField(field, column, qualifiedName(table.source));
    altered.push({ column: column.name, original, replacement: text });
    return Buffer.from(column.form === 'set-array' && text !== null ? copyArrayLiteral(text) : escapeField(text));
  });
  const key = keyText(fields, columns, table.identity.kind === 'key' ? table.identity.columns : []);
  return {
    line: Buffer.concat(settled.flatMap((field, index) => (index === 0 ? [field] : [TAB, field]))),
    altered: altered.map((value) => ({ ...value, key })),
  };
}

function settleField(
  field: Uint8Array,
  column: TargetColumn,
  table: string,
): { text: string | null; original: string } {
  const isText = column.form === 'text' || column.form === 'json';
  const original = unescapeField(isText ? field : field.subarray(1)) ?? '';
  switch (column.policy.kind) {
    case 'null':
      return { text: null, original };
    case 'value':
      return { text: column.policy.text, original };
    case 'strip':
      if (isText) return { text: original.replaceAll('\0', ''), original };
  }
  throw new UnrepresentableValueError(table, column.name, original, reasonOf(column));
}

function reasonOf({ form, type }: TargetColumn): string {
  switch (form) {
    case 'text':
    case 'json':
      return 'holds a NUL character, which Postgres does not store in text';
    case 'enum':
      return "is MySQL's error value of an ENUM, which is none of its labels";
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return `is no day of the calendar, which ${type} demands`;
    default:
      return `does not fit into ${type}`;
  }
}

function keyText(fields: readonly Uint8Array[], columns: readonly string[], key: readonly string[]): string {
  return key
    .map((name) => {
      const field = fields[columns.indexOf(name)];
      return field === undefined ? '' : (unescapeField(field) ?? 'NULL').replaceAll('\0', '');
    })
    .join(', ');
}
