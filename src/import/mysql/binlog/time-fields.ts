import type { LineBuffer } from '../../copy-text/line-buffer.ts';
import type { PacketReader } from './packet-reader.ts';

const DASH = 0x2d;
const COLON = 0x3a;
const SPACE = 0x20;
const DOT = 0x2e;
const DAY_SECONDS = 86_400;

/** A DATE: three bytes, day in the low 5 bits, month in the next 4, then the year. */
export function writeDate(from: PacketReader, out: LineBuffer): void {
  const raw = from.bytes.readUIntLE(from.at, 3);
  from.at += 3;
  writeDay(out, raw >> 9, (raw >> 5) & 15, raw & 31);
}

/** A DATETIME: five bytes big-endian (year · 13 + month, day, hour, minute, second), then the fraction. */
export function writeDatetime(from: PacketReader, out: LineBuffer, digits: number, suffix: string): void {
  const { bytes } = from;
  const high = bytes.readUIntBE(from.at, 3);
  const low = bytes.readUIntBE(from.at + 2, 3);
  from.at += 5;
  const fraction = readFraction(from, digits);
  // 1 bit sign, 17 bits year·13+month, 5 day | 5 hour, 6 minute, 6 second
  const yearMonth = (high >> 6) & 0x1_ffff;
  const day = (high >> 1) & 31;
  const hour = ((high & 1) << 4) | ((low >> 12) & 15);
  const valid = writeDay(out, Math.floor(yearMonth / 13), yearMonth % 13, day);
  writeClock(out, hour, (low >> 6) & 63, low & 63, fraction, digits);
  if (valid && suffix !== '') out.ascii(suffix);
}

/** A TIMESTAMP: seconds since 1970, big-endian, then the fraction. Written in UTC. */
export function writeTimestamp(from: PacketReader, out: LineBuffer, digits: number, suffix: string): void {
  const seconds = from.bytes.readUInt32BE(from.at);
  from.at += 4;
  writeInstant(out, seconds, readFraction(from, digits), digits, suffix);
}

/** A TIMESTAMP of before MySQL 5.6: seconds since 1970, little-endian. */
export function writeOldTimestamp(from: PacketReader, out: LineBuffer, suffix: string): void {
  writeInstant(out, from.u32(), 0, 0, suffix);
}

/** A DATETIME of before MySQL 5.6: YYYYMMDDhhmmss as a number of eight bytes. */
export function writeOldDatetime(from: PacketReader, out: LineBuffer, suffix: string): void {
  const raw = Number(from.bytes.readBigUInt64LE(from.at));
  from.at += 8;
  const day = Math.floor(raw / 1_000_000);
  const time = raw % 1_000_000;
  const valid = writeDay(out, Math.floor(day / 10_000), Math.floor(day / 100) % 100, day % 100);
  writeClock(out, Math.floor(time / 10_000), Math.floor(time / 100) % 100, time % 100, 0, 0);
  if (valid && suffix !== '') out.ascii(suffix);
}

/**
 * A TIME: three bytes big-endian with an offset of 2^23, then the fraction. A negative time is the complement of
 * the whole number, fraction included (my_time_packed_from_binary in MySQL's mysys/my_time.cc).
 */
export function writeTime(from: PacketReader, out: LineBuffer, digits: number, onlyClock: boolean): void {
  let whole = from.bytes.readUIntBE(from.at, 3) - 0x80_0000;
  from.at += 3;
  const bytes = (digits + 1) >> 1;
  let fraction = 0;
  if (bytes > 0) {
    fraction = from.bytes.readUIntBE(from.at, bytes);
    from.at += bytes;
    if (whole < 0 && fraction !== 0) {
      whole += 1;
      fraction = 256 ** bytes - fraction;
    }
  }
  const negative = whole < 0 || (whole === 0 && fraction !== 0 && isBorrowed(from, bytes));
  const magnitude = Math.abs(whole);
  const value = digits % 2 === 1 ? Math.floor(fraction / 10) : fraction;
  const hour = (magnitude >> 12) & 0x3ff;
  if (onlyClock && (negative || hour > 24 || (hour === 24 && ((magnitude & 0xfff) !== 0 || fraction !== 0)))) out.nul();
  if (negative) out.ascii('-');
  writeHours(out, hour, (magnitude >> 6) & 63, magnitude & 63, value, digits);
}

/** Whether the whole part was −1 before the borrow that made it 0. */
function isBorrowed(from: PacketReader, bytes: number): boolean {
  return from.bytes.readUIntBE(from.at - bytes - 3, 3) < 0x80_0000;
}

/** A TIME of before MySQL 5.6: hhmmss as a signed number of three bytes. */
export function writeOldTime(from: PacketReader, out: LineBuffer, onlyClock: boolean): void {
  const raw = from.bytes.readIntLE(from.at, 3);
  from.at += 3;
  const value = Math.abs(raw);
  const hour = Math.floor(value / 10_000);
  if (onlyClock && (raw < 0 || value > 240_000)) out.nul();
  if (raw < 0) out.ascii('-');
  writeHours(out, hour, Math.floor(value / 100) % 100, value % 100, 0, 0);
}

function readFraction(from: PacketReader, digits: number): number {
  const bytes = (digits + 1) >> 1;
  if (bytes === 0) return 0;
  const raw = from.bytes.readUIntBE(from.at, bytes);
  from.at += bytes;
  return digits % 2 === 1 ? Math.floor(raw / 10) : raw;
}

/** Writes the day; one that does not exist gets the mark in front. Returns whether it exists. */
function writeDay(out: LineBuffer, year: number, month: number, day: number): boolean {
  const valid = year > 0 && month > 0 && day > 0 && day <= daysOf(year, month);
  if (!valid) out.nul();
  out.ensure(32);
  out.padded(year, 4);
  out.bytes[out.length++] = DASH;
  out.padded(month, 2);
  out.bytes[out.length++] = DASH;
  out.padded(day, 2);
  return valid;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function writeClock(
  out: LineBuffer,
  hour: number,
  minute: number,
  second: number,
  fraction: number,
  digits: number,
): void {
  out.bytes[out.length++] = SPACE;
  writeHours(out, hour, minute, second, fraction, digits);
}

function writeHours(
  out: LineBuffer,
  hour: number,
  minute: number,
  second: number,
  fraction: number,
  digits: number,
): void {
  out.ensure(24);
  out.padded(hour, hour > 99 ? 3 : 2);
  out.bytes[out.length++] = COLON;
  out.padded(minute, 2);
  out.bytes[out.length++] = COLON;
  out.padded(second, 2);
  if (digits === 0) return;
  out.bytes[out.length++] = DOT;
  out.padded(fraction, digits);
}

/** Seconds since 1970 as a day and a time in UTC. Zero is MySQL's zero timestamp, not 1970. */
function writeInstant(out: LineBuffer, seconds: number, fraction: number, digits: number, suffix: string): void {
  if (seconds === 0 && fraction === 0) {
    writeDay(out, 0, 0, 0);
    writeClock(out, 0, 0, 0, 0, digits);
    return;
  }
  const days = Math.floor(seconds / DAY_SECONDS);
  const rest = seconds - days * DAY_SECONDS;
  // Days to a date of the Gregorian calendar (H. Hinnant, chrono-compatible low-level date algorithms)
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  writeDay(out, yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day);
  writeClock(out, Math.floor(rest / 3_600), Math.floor(rest / 60) % 60, rest % 60, fraction, digits);
  if (suffix !== '') out.ascii(suffix);
}
