import { splitFields } from '../copy-text/fields.ts';

const TAB = Buffer.from('\t');

/** Whether a field stands for a value that the log did not repeat. */
function isUnchanged(field: Uint8Array): boolean {
  return field.length === 1 && field[0] === 0;
}

/** A line in which the fields that the log did not repeat are those of an earlier version of the row. */
export function fillUnchanged(line: Uint8Array, earlier: Uint8Array): Buffer {
  const values = splitFields(earlier);
  const fields = splitFields(line).map((field, index) => (isUnchanged(field) ? values[index]! : field));
  return Buffer.concat(fields.flatMap((field, index) => (index === 0 ? [field] : [TAB, field])));
}
