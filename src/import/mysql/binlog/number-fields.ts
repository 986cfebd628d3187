import { LineBuffer } from '../../copy-text/line-buffer.ts';
import { PacketReader } from './packet-reader.ts';

const TWO_32 = 0x1_0000_0000;

/** A whole number of 1, 2, 3, 4 or 8 bytes. */
export function writeInteger(from: PacketReader, out: LineBuffer, bytes: number, unsigned: boolean): void {
  const { bytes: buffer, at } = from;
  from.at += bytes;
  if (bytes === 8) {
    const low = buffer.readUInt32LE(at);
    const high = unsigned ? buffer.readUInt32LE(at + 4) : buffer.readInt32LE(at + 4);
    if (high < 0x20_0000 && high >= -0x20_0000) out.integer(high * TWO_32 + low);
    else out.ascii((unsigned ? buffer.readBigUInt64LE(at) : buffer.readBigInt64LE(at)).toString());
    return;
  }
  out.integer(unsigned ? buffer.readUIntLE(at, bytes) : buffer.readIntLE(at, bytes));
}

/** A FLOAT or DOUBLE, with as many digits as are needed to read it back. */
export function writeFloat(value: number, out: LineBuffer): void {
  out.ascii(Object.is(value, -0) ? '-0' : String(value));
}

/** Bytes that the digits of an incomplete group of nine take. */
const GROUP_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

/** The size of a DECIMAL in bytes. */
export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale;
  return Math.floor(whole / 9) * 4 + GROUP_BYTES[whole % 9]! + Math.floor(scale / 9) * 4 + GROUP_BYTES[scale % 9]!;
}

/**
 * A DECIMAL: groups of nine digits, big-endian, four bytes each; the incomplete groups stand outermost and are shorter.
 * The first bit is the inverted sign; a negative number has all bits inverted (strings/decimal.c, decimal2bin).
 */
export function writeDecimal(from: PacketReader, out: LineBuffer, precision: number, scale: number): void {
  const size = decimalBytes(precision, scale);
  const source = from.bytes;
  let at = from.at;
  from.at += size;
  const negative = (source[at]! & 0x80) === 0;
  const flip = negative ? 0xff : 0;
  let first = 0x80;
  const read = (bytes: number): number => {
    let value = 0;
    for (let index = 0; index < bytes; index++) {
      value = value * 256 + ((source[at++]! ^ flip ^ first) & 0xff);
      first = 0;
    }
    return value;
  };
  if (negative) out.ascii('-');
  const whole = precision - scale;
  const lead = whole % 9;
  let started = false;
  if (lead > 0) {
    const value = read(GROUP_BYTES[lead]!);
    if (value !== 0) {
      out.integer(value);
      started = true;
    }
  }
  for (let group = 0; group < Math.floor(whole / 9); group++) {
    const value = read(4);
    if (started) out.padded(value, 9);
    else if (value !== 0) {
      out.integer(value);
      started = true;
    }
  }
  if (!started) out.ascii('0');
  if (scale === 0) return;
  out.ascii('.');
  for (let group = 0; group < Math.floor(scale / 9); group++) out.padded(read(4), 9);
  const rest = scale % 9;
  if (rest > 0) out.padded(read(GROUP_BYTES[rest]!), rest);
}

/** A BIT(n) as zeros and ones. */
export function writeBits(from: PacketReader, out: LineBuffer, width: number): void {
  const bytes = from.take((width + 7) >> 3);
  out.ensure(width);
  for (let bit = width - 1; bit >= 0; bit--) {
    const byte = bytes[bytes.length - 1 - (bit >> 3)]!;
    out.bytes[out.length++] = 0x30 + ((byte >> (bit & 7)) & 1);
  }
}

/** A BIT(n) as a whole number. */
export function writeBitsNumber(from: PacketReader, out: LineBuffer, width: number): void {
  let value = 0n;
  for (const byte of from.take((width + 7) >> 3)) value = (value << 8n) | BigInt(byte);
  out.ascii(value.toString());
}

/** A DECIMAL that stands alone, as inside a JSON value. */
export function decimalText(bytes: Buffer, precision: number, scale: number): string {
  const out = new LineBuffer(128);
  writeDecimal(new PacketReader(bytes), out, precision, scale);
  return out.view().toString('latin1');
}
