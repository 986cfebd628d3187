import { type DiffOptions, diffPayloads } from '../kv/index.ts';
import type { Output } from './output.ts';

/** Prints what differs between two payloads, in colours on a terminal; nothing when nothing does. */
export function printDiff(
  output: Output,
  before: Buffer | null,
  after: Buffer | null,
  names: NonNullable<DiffOptions['names']>,
): void {
  const diff = diffPayloads(before, after, { names });
  if (diff !== '') output.value({ diff }, (_, paint) => paintDiff(diff.trimEnd(), paint));
}

type Paint = Parameters<Parameters<Output['value']>[1]>[1];

/** Headers bold, what went red, what came green. */
export function paintDiff(diff: string, paint: Paint): string {
  let inHeader = true;
  return diff
    .split('\n')
    .map((line) => {
      if (line.startsWith('@@')) inHeader = false;
      if (inHeader) return paint.bold(line);
      if (line.startsWith('-')) return paint.red(line);
      if (line.startsWith('+')) return paint.green(line);
      return line;
    })
    .join('\n');
}
