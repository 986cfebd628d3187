import { LineBuffer } from '../../copy-text/line-buffer.ts';
import { copyArrayLiteral } from '../../mapping/column-default.ts';
import type { ValueForm } from '../../model/target-table.ts';
import type { Charsets } from '../charsets.ts';
import { type FieldCodec, stepOver, UnreadableColumn } from './field.ts';
import type { BinlogColumn } from './table-map.ts';

/** The labels of ENUM and SET arrive as bytes in the column's character set. */
function labelTexts(column: BinlogColumn, charsets: Charsets): string[] {
  if (column.labels === undefined) {
    throw new UnreadableColumn(
      `column ${column.name}: the binlog has no labels; set binlog_row_metadata = FULL on the source`,
    );
  }
  const writer = charsets.writerFor(column.collation);
  return column.labels.map((label) => {
    const out = new LineBuffer(label.length * 4 + 8);
    writer(label, 0, label.length, out);
    return out.view().toString('utf8');
  });
}

/** ENUM: the number of its label. */
export function enumeration(column: BinlogColumn, charsets: Charsets): FieldCodec {
  const labels = labelTexts(column, charsets).map((text) => Buffer.from(text));
  return {
    write: (from, out) => {
      const index = column.size === 1 ? from.u8() : from.u16();
      const label = labels[index - 1];
      // Index 0 is MySQL's error value ''
      if (label === undefined) out.nul();
      else out.raw(label);
    },
    skip: stepOver(column.size),
  };
}

/** SET: a bit for each label. */
export function members(column: BinlogColumn, form: ValueForm, charsets: Charsets): FieldCodec {
  const labels = labelTexts(column, charsets);
  const known = new Map<bigint, Buffer>();
  const { size } = column;
  const textOf = (mask: bigint): Buffer => {
    const escaped = labels.filter((_, index) => (mask >> BigInt(index)) & 1n).join(',');
    if (form !== 'set-array') return Buffer.from(escaped);
    return Buffer.from(copyArrayLiteral(unescaped(escaped)));
  };
  return {
    write: (from, out) => {
      let mask = 0n;
      for (let index = 0; index < size; index++) mask |= BigInt(from.u8()) << BigInt(8 * index);
      let text = known.get(mask);
      if (text === undefined) {
        text = textOf(mask);
        if (known.size < 4_096) known.set(mask, text);
      }
      out.raw(text);
    },
    skip: stepOver(size),
  };
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/gs, (_, letter: string) => ({ t: '\t', n: '\n', r: '\r' })[letter] ?? letter);
