import type { LineBuffer } from '../../copy-text/line-buffer.ts';
import type { ValueForm } from '../../model/target-table.ts';
import type { Charsets } from '../charsets.ts';
import { bytesWriter, inflating, prefixed, writeEwkb, writeEwkbBytea, writeJson } from './bytes-fields.ts';
import { BINLOG_TYPE } from './column-types.ts';
import { type FieldCodec, stepOver, UnreadableColumn } from './field.ts';
import { enumeration, members } from './label-fields.ts';
import { decimalBytes, writeBits, writeBitsNumber, writeDecimal, writeFloat, writeInteger } from './number-fields.ts';
import type { PacketReader } from './packet-reader.ts';
import type { BinlogColumn } from './table-map.ts';
import * as time from './time-fields.ts';

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
