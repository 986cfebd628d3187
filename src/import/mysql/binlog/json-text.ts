import { writeTemporalText } from './json-temporal.ts';
import { decimalText } from './number-fields.ts';

/** Type codes of MySQL's binary JSON (sql-common/json_binary.h). */
const TYPE = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;

/**
 * The text of a MySQL JSON column, as the server itself prints it: keys in their stored order, `1.0` for a double
 * that is whole, opaque values as it casts them.
 */
export function jsonText(bytes: Buffer): string {
  // An empty value is what MySQL logs for a column that became NOT NULL: it reads it as null
  return bytes.length === 0 ? 'null' : valueText(bytes, bytes[0]!, 1);
}

/** @param at - where the value begins, behind its type */
function valueText(bytes: Buffer, type: number, at: number): string {
  switch (type) {
    case TYPE.smallObject:
    case TYPE.largeObject:
      return objectText(bytes, at, type === TYPE.largeObject);
    case TYPE.smallArray:
    case TYPE.largeArray:
      return arrayText(bytes, at, type === TYPE.largeArray);
    case TYPE.literal:
      return bytes[at] === 0 ? 'null' : bytes[at] === 1 ? 'true' : 'false';
    case TYPE.int16:
      return String(bytes.readInt16LE(at));
    case TYPE.uint16:
      return String(bytes.readUInt16LE(at));
    case TYPE.int32:
      return String(bytes.readInt32LE(at));
    case TYPE.uint32:
      return String(bytes.readUInt32LE(at));
    case TYPE.int64:
      return bytes.readBigInt64LE(at).toString();
    case TYPE.uint64:
      return bytes.readBigUInt64LE(at).toString();
    case TYPE.double:
      return doubleText(bytes.readDoubleLE(at));
    case TYPE.string: {
      const { length, start } = readLength(bytes, at);
      return JSON.stringify(bytes.toString('utf8', start, start + length));
    }
    case TYPE.opaque:
      return opaqueText(bytes, at);
    default:
      throw new Error(`unknown type ${type} in a JSON value of the binlog`);
  }
}

/** Beyond so many digits before the point, or with as many zeros behind it, the server writes an exponent (my_gcvt in dtoa.cc). */
const MAX_PLAIN_DIGITS = 15;

function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  const digitsBefore = Number(exponent) + 1;
  if (digitsBefore > MAX_PLAIN_DIGITS || digitsBefore <= -MAX_PLAIN_DIGITS) return `${mantissa}e${Number(exponent)}`;
  const digits = mantissa.replace(/[-.]/g, '').length;
  return value.toFixed(Math.max(1, digits - digitsBefore));
}

/** A length of one to five bytes, seven bits each. */
function readLength(bytes: Buffer, at: number): { length: number; start: number } {
  let length = 0;
  let start = at;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[start++]!;
    length += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) return { length, start };
  }
}

function objectText(bytes: Buffer, at: number, large: boolean): string {
  const width = large ? 4 : 2;
  const count = readOffset(bytes, at, large);
  const keys = at + 2 * width;
  const values = keys + count * (width + 2);
  const members: string[] = [];
  for (let index = 0; index < count; index++) {
    const entry = keys + index * (width + 2);
    const start = at + readOffset(bytes, entry, large);
    const key = bytes.toString('utf8', start, start + bytes.readUInt16LE(entry + width));
    members.push(`${JSON.stringify(key)}: ${entryText(bytes, values + index * (width + 1), at, large)}`);
  }
  return `{${members.join(', ')}}`;
}

function arrayText(bytes: Buffer, at: number, large: boolean): string {
  const width = large ? 4 : 2;
  const count = readOffset(bytes, at, large);
  const values = at + 2 * width;
  const members = Array.from({ length: count }, (_, index) =>
    entryText(bytes, values + index * (width + 1), at, large),
  );
  return `[${members.join(', ')}]`;
}

/** A value entry: its type, then the value itself when it is small enough, else where it is. */
function entryText(bytes: Buffer, entry: number, base: number, large: boolean): string {
  const type = bytes[entry]!;
  const inlined =
    type === TYPE.literal ||
    type === TYPE.int16 ||
    type === TYPE.uint16 ||
    (large && (type === TYPE.int32 || type === TYPE.uint32));
  return valueText(bytes, type, inlined ? entry + 1 : base + readOffset(bytes, entry + 1, large));
}

function readOffset(bytes: Buffer, at: number, large: boolean): number {
  return large ? bytes.readUInt32LE(at) : bytes.readUInt16LE(at);
}

const MYSQL_TYPE = { timestamp: 7, date: 10, time: 11, datetime: 12, newdecimal: 246 } as const;

/** A value of an SQL type inside JSON: decimals, times, and bytes (printed in base64 with the number of the type). */
function opaqueText(bytes: Buffer, at: number): string {
  const type = bytes[at]!;
  const { length, start } = readLength(bytes, at + 1);
  switch (type) {
    case MYSQL_TYPE.newdecimal:
      return decimalText(bytes.subarray(start + 2, start + length), bytes[start]!, bytes[start + 1]!);
    case MYSQL_TYPE.date:
    case MYSQL_TYPE.time:
    case MYSQL_TYPE.datetime:
    case MYSQL_TYPE.timestamp:
      return `"${writeTemporalText(bytes.readBigInt64LE(start), type)}"`;
    default:
      return `"base64:type${type}:${bytes.toString('base64', start, start + length)}"`;
  }
}
