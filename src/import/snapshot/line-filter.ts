import { settleLine } from '../mapping/settle-values.ts';
import type { MappedTable } from '../model/target-table.ts';
import type { AlteredValue } from '../stream/batch.ts';

const NEWLINE = 0x0a;

/**
 * Lets blocks of lines pass, and applies the value policies to the lines that hold a NUL – the mark of a value that
 * the target cannot hold. One search per block; nearly none has any.
 */
export function settleBlock(
  block: Buffer,
  { source, target }: MappedTable,
  columns: readonly string[],
  altered: AlteredValue[],
): Buffer {
  if (!block.includes(0)) return block;
  const table = { ...target, source };
  const parts: Buffer[] = [];
  for (const line of linesOf(block)) {
    if (!line.includes(0)) {
      parts.push(line, END);
      continue;
    }
    const settled = settleLine(line, table, columns);
    altered.push(...settled.altered);
    parts.push(settled.line, END);
  }
  return Buffer.concat(parts);
}

const END = Buffer.of(NEWLINE);

/** The lines of a block, without their newlines and without copying. */
export function* linesOf(block: Buffer): Generator<Buffer> {
  let start = 0;
  for (let end = block.indexOf(NEWLINE); end !== -1; end = block.indexOf(NEWLINE, start)) {
    yield block.subarray(start, end);
    start = end + 1;
  }
}
