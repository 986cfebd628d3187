// Property tests: how many runs, and strings that are hard for databases.
import fc from 'fast-check';

/** Runs of each property: 200, or what HYPERVAULT_PROPERTY_RUNS says for a long night. */
export const PROPERTY_RUNS = Number(process.env.HYPERVAULT_PROPERTY_RUNS ?? 200);

/** Text that Postgres can hold: anything but NUL and half surrogates, with the delicate characters made frequent. */
export function storableText({ maxLength = 40 }: { maxLength?: number } = {}): fc.Arbitrary<string> {
  const delicate = fc.constantFrom(
    '"',
    "'",
    '\\',
    '=>',
    ',',
    ' ',
    'NULL',
    'null',
    '\n',
    '\t',
    '',
    '😀',
    '{',
    '}',
    '%',
    '$1',
    '--',
    ';',
  );
  return fc
    .array(fc.oneof(delicate, fc.string({ unit: 'grapheme', maxLength: 3 })), { maxLength })
    .map((pieces) => pieces.join('').replaceAll('\0', ''));
}
