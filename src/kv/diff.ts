import { isUtf8 } from 'node:buffer';
import { structuredPatch } from 'diff';

export interface DiffOptions {
  /** How both sides are called. @default ['before', 'after'] */
  readonly names?: readonly [string, string] | undefined;
  /** Gives up when the comparison takes longer; it holds the event loop meanwhile. @default 1000 */
  readonly timeoutMs?: number | undefined;
}

/**
 * The lines that differ between two payloads as a unified diff, with three lines around each; '' when none do.
 * `null` is a key that is not there. A line end that is missing at the end of a payload is not counted as a difference,
 * unless it is the only one.
 *
 * @example
 * ```ts
 * diffPayloads(Buffer.from('a: 1\n'), Buffer.from('a: 2\n'), { names: ['limits 1', 'limits 2'] });
 * // --- limits 1
 * // +++ limits 2
 * // @@ -1 +1 @@
 * // -a: 1
 * // +a: 2
 * ```
 */
export function diffPayloads(
  before: Uint8Array | null,
  after: Uint8Array | null,
  { names: [nameBefore, nameAfter] = ['before', 'after'], timeoutMs = 1_000 }: DiffOptions = {},
): string {
  const [old, young] = [before ?? new Uint8Array(0), after ?? new Uint8Array(0)];
  if (Buffer.compare(old, young) === 0) return '';
  const head = `--- ${nameBefore}\n+++ ${nameAfter}\n`;
  if (!isUtf8(old) || !isUtf8(young)) {
    return `${head}Binary payloads differ: ${old.length} bytes, ${young.length} bytes\n`;
  }
  const [oldText, youngText] = [Buffer.from(old).toString(), Buffer.from(young).toString()];
  const onlyLineEnd = withLineEnd(oldText) === withLineEnd(youngText);
  const [left, right] = onlyLineEnd ? [oldText, youngText] : [withLineEnd(oldText), withLineEnd(youngText)];
  const patch = structuredPatch('', '', left, right, '', '', { context: 3, timeout: timeoutMs });
  if (patch === undefined) return `${head}The payloads are too different to be compared line by line\n`;
  const hunks = patch.hunks.map(
    ({ oldStart, oldLines, newStart, newLines, lines }) =>
      `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@\n${lines.join('\n')}\n`,
  );
  return head + hunks.join('');
}

function withLineEnd(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

/** As diff(1) writes it: no count when it is 1, and no lines at all stand behind the line before them. */
function range(start: number, count: number): string {
  return count === 1 ? String(start) : `${count === 0 ? start - 1 : start},${count}`;
}
