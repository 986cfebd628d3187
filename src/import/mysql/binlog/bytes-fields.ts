import { inflateRawSync, inflateSync } from 'node:zlib';
import type { LineBuffer } from '../../copy-text/line-buffer.ts';
import type { ValueForm } from '../../model/target-table.ts';
import type { Charsets, TextWriter } from '../charsets.ts';
import { BINLOG_TYPE } from './column-types.ts';
import { type FieldCodec, UnreadableColumn } from './field.ts';
import { jsonText } from './json-text.ts';
import type { PacketReader } from './packet-reader.ts';
import type { BinlogColumn } from './table-map.ts';

/** Writes bytes that stand at a place of the row image. */
export type BytesWriter = (source: Buffer, start: number, end: number, out: LineBuffer) => void;

/** A value behind its length, which takes `prefix` bytes. */
export function prefixed(prefix: number, write: BytesWriter): FieldCodec {
  const lengthOf = (from: PacketReader): number => {
    const length = prefix === 1 ? from.bytes[from.at]! : from.bytes.readUIntLE(from.at, prefix);
    from.at += prefix;
    return length;
  };
  return {
    write: (from, out) => {
      const length = lengthOf(from);
      const start = from.at;
      from.at += length;
      write(from.bytes, start, start + length, out);
    },
    skip: (from) => {
      const length = lengthOf(from);
      from.at += length;
    },
  };
}

/** How text and bytes of a column are written. */
export function bytesWriter(column: BinlogColumn, form: ValueForm, charsets: Charsets): BytesWriter {
  switch (form) {
    case 'bytea':
      return column.type === BINLOG_TYPE.string ? fixedWidth(column.size, hexWriter) : hexWriter;
    case 'uuid-binary':
      return fixedWidth(16, (source, start, end, out) => out.hexDigits(source, start, end));
    case 'uuid':
      return fixedWidth(16, (source, start, end, out) => out.ascii(uuidText(source.toString('hex', start, end))));
    case 'inet':
      return fixedWidth(column.size, writeInet);
    default: {
      const text: TextWriter = charsets.writerFor(column.collation);
      return text;
    }
  }
}

const hexWriter: BytesWriter = (source, start, end, out) => out.hex(source, start, end);

/** The binlog leaves out the zero bytes at the end of a fixed-width value. */
function fixedWidth(width: number, write: BytesWriter): BytesWriter {
  return (source, start, end, out) => {
    if (end - start === width) {
      write(source, start, end, out);
      return;
    }
    const padded = Buffer.alloc(width);
    source.copy(padded, 0, start, end);
    write(padded, 0, width, out);
  };
}

function uuidText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const writeInet: BytesWriter = (source, start, end, out) => {
  if (end - start === 4) {
    out.ascii([...source.subarray(start, end)].join('.'));
    return;
  }
  const groups: string[] = [];
  for (let at = start; at < end; at += 2) groups.push(source.readUInt16BE(at).toString(16));
  out.ascii(groups.join(':'));
};

/** MySQL's binary JSON, as text. */
export const writeJson: BytesWriter = (source, start, end, out) => {
  const text = Buffer.from(jsonText(source.subarray(start, end)));
  out.escaped(text, 0, text.length);
};

/** Four bytes of SRID, then WKB; extended WKB has the SRID behind the type, marked by a bit in it. */
export const writeEwkb: BytesWriter = (source, start, end, out) => {
  const srid = source.readUInt32LE(start);
  if (srid === 0) {
    out.hexDigits(source, start + 4, end);
    return;
  }
  out.hexDigits(source, start + 4, start + 8);
  out.ascii('20');
  out.hexDigits(source, start, start + 4);
  out.hexDigits(source, start + 9, end);
};

export const writeEwkbBytea: BytesWriter = (source, start, end, out) => {
  out.ascii('\\\\x');
  writeEwkb(source, start, end, out);
};

/** MariaDB's column compression: a header byte, the original length, and a deflate stream (sql/field_comp.cc). */
export function inflating(write: BytesWriter): BytesWriter {
  return (source, start, end, out) => {
    if (end === start) return write(source, start, end, out);
    const header = source[start]!;
    const method = header >> 4;
    if (method === 0) return write(source, start + 1, end, out);
    if (method !== 8) throw new UnreadableColumn(`the column compression method ${method} of MariaDB is not known`);
    const packed = source.subarray(start + 1 + (header & 7), end);
    const plain = (header & 8) === 0 ? inflateSync(packed) : inflateRawSync(packed);
    write(plain, 0, plain.length, out);
  };
}
