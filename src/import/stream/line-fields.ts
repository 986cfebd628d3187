import { isNullField } from '../copy-text/fields.ts';
import type { LineLayout } from './line-layout.ts';

const TAB = 0x09;

/** Of a table without foreign keys that act. */
export const NO_KEYS: readonly (string | null)[] = [];

/** Fields joined by tabs; `null` when one of them is NULL, for then nothing refers to the row. */
export function tuple(fields: readonly number[], field: (index: number) => Buffer): string | null {
  const parts = fields.map(field);
  return parts.some(isNullField) ? null : parts.map((part) => part.toString('latin1')).join('\t');
}

/** What tells a row apart: its key's fields, or all of the line. */
export function keyText({ key }: LineLayout, bytes: Buffer, start: number, end: number, ends: Int32Array): string {
  if (key.length === 0) return bytes.toString('latin1', start, end);
  let text = '';
  for (let index = 0; index < key.length; index++) {
    const field = key[index]!;
    const part = bytes.toString('latin1', field === 0 ? start : ends[field - 1]! + 1, ends[field]);
    text = index === 0 ? part : `${text}\t${part}`;
  }
  return text;
}

/** Notes where the fields of a line end that was written anew. */
export function findFields(ends: Int32Array, line: Buffer, start: number): void {
  let field = 0;
  for (let at = line.indexOf(TAB); at !== -1; at = line.indexOf(TAB, at + 1)) ends[field++] = start + at;
  ends[field] = start + line.length;
}
