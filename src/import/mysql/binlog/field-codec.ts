import { inflateRawSync, inflateSync } from 'node:zlib';
import { LineBuffer } from '../../copy-text/line-buffer.ts';
import { copyArrayLiteral } from '../../mapping/column-default.ts';
import type { ValueForm } from '../../model/target-table.ts';
import type { Charsets, TextWriter } from '../charsets.ts';
import { BINLOG_TYPE } from './column-types.ts';
import { jsonText } from './json-text.ts';
import { decimalBytes, writeBits, writeBitsNumber, writeDecimal, writeFloat, writeInteger } from './number-fields.ts';
import type { PacketReader } from './packet-reader.ts';
import type { BinlogColumn } from './table-map.ts';
import * as time from './time-fields.ts';

/** Reads one value of a row image: writes it as a field of a COPY line, or steps over it. */
export interface FieldCodec {
  readonly write: (from: PacketReader, out: LineBuffer) => void;
  readonly skip: (from: PacketReader) => void;
}

/** The column's type cannot be read out of the binlog in the wanted form. */
export class UnreadableColumn extends Error {}

/** Makes the codec of a column. `form` is what the target wants; the initial copy writes the same form in SQL. */
export function fieldCodec(column: BinlogColumn, form: ValueForm, charsets: Charsets): FieldCodec {
  const { type, size, scale, unsigned } = column;
  switch (type) {
    case BINLOG_TYPE.tiny:
      return form === 'boolean' ? { write: writeBoolean, skip: stepOver(1) } : integer(1, unsigned);
    case BINLOG_TYPE.short:
      return integer(2, unsigned);
    case BINLOG_TYPE.int24:
      return integer(3, unsigned);
    case BINLOG_TYPE.long:
      return integer(4, unsigned);
    case BINLOG_TYPE.longlong:
      return integer(8, unsigned);
    case BINLOG_TYPE.float:
      return { write: (from, out) => writeFloat(from.take(4).readFloatLE(0), out), skip: stepOver(4) };
    case BINLOG_TYPE.double:
      return { write: (from, out) => writeFloat(from.take(8).readDoubleLE(0), out), skip: stepOver(8) };
    case BINLOG_TYPE.newdecimal:
      return { write: (from, out) => writeDecimal(from, out, size, scale), skip: stepOver(decimalBytes(size, scale)) };
    case BINLOG_TYPE.year:
      return { write: writeYear, skip: stepOver(1) };
    case BINLOG_TYPE.bit:
      return bits(size, form);
    case BINLOG_TYPE.date:
      return { write: time.writeDate, skip: stepOver(3) };
    case BINLOG_TYPE.datetime2:
    case BINLOG_TYPE.timestamp2:
    case BINLOG_TYPE.time2:
    case BINLOG_TYPE.datetime:
    case BINLOG_TYPE.timestamp:
    case BINLOG_TYPE.time:
      return temporal(type, size, form);
    case BINLOG_TYPE.enum:
      return enumeration(column, charsets);
    case BINLOG_TYPE.set:
      return members(column, form, charsets);
    case BINLOG_TYPE.varchar:
    case BINLOG_TYPE.string:
      return prefixed(size > 255 ? 2 : 1, bytesWriter(column, form, charsets));
    case BINLOG_TYPE.blob:
    case BINLOG_TYPE.vector:
      return prefixed(size, bytesWriter(column, form, charsets));
    case BINLOG_TYPE.varcharCompressed:
      return prefixed(size > 255 ? 2 : 1, inflating(bytesWriter(column, form, charsets)));
    case BINLOG_TYPE.blobCompressed:
      return prefixed(size, inflating(bytesWriter(column, form, charsets)));
    case BINLOG_TYPE.json:
      return prefixed(size, writeJson);
    case BINLOG_TYPE.geometry:
      return prefixed(size, form === 'ewkb' ? writeEwkb : writeEwkbBytea);
    default:
      throw new UnreadableColumn(`column ${column.name}: the binlog type ${type} is not known`);
  }
}

const stepOver =
  (bytes: number) =>
  (from: PacketReader): void => {
    from.at += bytes;
  };

function integer(bytes: number, unsigned: boolean): FieldCodec {
  return { write: (from, out) => writeInteger(from, out, bytes, unsigned), skip: stepOver(bytes) };
}

function writeBoolean(from: PacketReader, out: LineBuffer): void {
  const value = from.bytes.readInt8(from.at++);
  if (value !== 0 && value !== 1) out.nul();
  out.integer(value);
}

function writeYear(from: PacketReader, out: LineBuffer): void {
  const raw = from.u8();
  if (raw === 0) out.ascii('0000');
  else out.integer(1900 + raw);
}

function bits(width: number, form: ValueForm): FieldCodec {
  const write = form === 'bits' ? writeBits : writeBitsNumber;
  return { write: (from, out) => write(from, out, width), skip: stepOver((width + 7) >> 3) };
}

function temporal(type: number, digits: number, form: ValueForm): FieldCodec {
  const zone = form === 'timestamptz' ? '+00' : '';
  const clock = form === 'time';
  const fraction = (digits + 1) >> 1;
  switch (type) {
    case BINLOG_TYPE.datetime2:
      return { write: (from, out) => time.writeDatetime(from, out, digits, zone), skip: stepOver(5 + fraction) };
    case BINLOG_TYPE.timestamp2:
      return { write: (from, out) => time.writeTimestamp(from, out, digits, zone), skip: stepOver(4 + fraction) };
    case BINLOG_TYPE.time2:
      return { write: (from, out) => time.writeTime(from, out, digits, clock), skip: stepOver(3 + fraction) };
    case BINLOG_TYPE.datetime:
      return { write: (from, out) => time.writeOldDatetime(from, out, zone), skip: stepOver(8) };
    case BINLOG_TYPE.timestamp:
      return { write: (from, out) => time.writeOldTimestamp(from, out, zone), skip: stepOver(4) };
    default:
      return { write: (from, out) => time.writeOldTime(from, out, clock), skip: stepOver(3) };
  }
}

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

function enumeration(column: BinlogColumn, charsets: Charsets): FieldCodec {
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

function members(column: BinlogColumn, form: ValueForm, charsets: Charsets): FieldCodec {
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

type BytesWriter = (source: Buffer, start: number, end: number, out: LineBuffer) => void;

function prefixed(prefix: number, write: BytesWriter): FieldCodec {
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

function bytesWriter(column: BinlogColumn, form: ValueForm, charsets: Charsets): BytesWriter {
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

const writeJson: BytesWriter = (source, start, end, out) => {
  const text = Buffer.from(jsonText(source.subarray(start, end)));
  out.escaped(text, 0, text.length);
};

/** Four bytes of SRID, then WKB; extended WKB has the SRID behind the type, marked by a bit in it. */
const writeEwkb: BytesWriter = (source, start, end, out) => {
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

const writeEwkbBytea: BytesWriter = (source, start, end, out) => {
  out.ascii('\\\\x');
  writeEwkb(source, start, end, out);
};

/** MariaDB's column compression: a header byte, the original length, and a deflate stream (sql/field_comp.cc). */
function inflating(write: BytesWriter): BytesWriter {
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
