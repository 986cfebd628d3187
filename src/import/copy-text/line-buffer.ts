const BACKSLASH = 0x5c;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const HEX = Buffer.from('0123456789abcdef', 'latin1');

/**
 * A growing buffer of lines in the text format of COPY (Postgres manual, COPY, File Formats).
 *
 * The fields are public because the row decoders write millions of values a second through them:
 * `bytes[length++] = …` after {@link ensure} is the intended use.
 */
export class LineBuffer {
  bytes: Buffer;
  length = 0;
  /** Whether a NUL was written: the mark of a value that needs the value policy. Reset by whoever settles it. */
  hasNul = false;
  /** Whether {@link unchanged} was written. Reset by whoever deals with it. */
  hasUnchanged = false;

  constructor(capacity = 64 * 1024) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `extra` more bytes. */
  ensure(extra: number): void {
    const needed = this.length + extra;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Appends ASCII text that needs no escaping. */
  ascii(text: string): void {
    this.ensure(text.length);
    this.bytes.write(text, this.length, 'latin1');
    this.length += text.length;
  }

  /** Appends a whole number below 2^53 in decimal digits. */
  integer(value: number): void {
    this.ensure(20);
    let rest = value;
    if (rest < 0) {
      this.bytes[this.length++] = 0x2d;
      rest = -rest;
    }
    let digits = 1;
    for (let bound = 10; rest >= bound && digits < 17; bound *= 10) digits += 1;
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      this.bytes[at] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.length += digits;
  }

  /** Appends `value` with leading zeros up to `width` digits. */
  padded(value: number, width: number): void {
    this.ensure(width);
    let rest = value;
    for (let at = this.length + width - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      this.bytes[at] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.length += width;
  }

  /** Appends bytes as they are. */
  raw(source: Uint8Array, start = 0, end = source.length): void {
    this.ensure(end - start);
    this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** Marks the field that follows as one that the target cannot hold. */
  nul(): void {
    this.ensure(1);
    this.bytes[this.length++] = 0;
    this.hasNul = true;
  }

  /** Marks a field whose value the log does not repeat, since it did not change: a NUL, which no value of Postgres holds. */
  unchanged(): void {
    this.ensure(1);
    this.bytes[this.length++] = 0;
    this.hasUnchanged = true;
  }

  /** Appends UTF-8 text, escaping what COPY gives a meaning: backslash, tab, newline, carriage return. */
  escaped(source: Uint8Array, start: number, end: number): void {
    this.ensure((end - start) * 2);
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < end; index++) {
      const byte = source[index]!;
      if (byte > RETURN && byte !== BACKSLASH) {
        bytes[at++] = byte;
      } else if (byte === BACKSLASH || byte === TAB || byte === NEWLINE || byte === RETURN) {
        bytes[at++] = BACKSLASH;
        bytes[at++] = byte === TAB ? 0x74 : byte === NEWLINE ? 0x6e : byte === RETURN ? 0x72 : BACKSLASH;
      } else {
        if (byte === 0) this.hasNul = true;
        bytes[at++] = byte;
      }
    }
    this.length = at;
  }

  /** Appends bytes in bytea's hex form, `\\x…` (the backslash doubled for COPY). */
  hex(source: Uint8Array, start: number, end: number): void {
    this.ensure(3);
    this.bytes[this.length++] = BACKSLASH;
    this.bytes[this.length++] = BACKSLASH;
    this.bytes[this.length++] = 0x78;
    this.hexDigits(source, start, end);
  }

  /** Appends bytes as hex digits. */
  hexDigits(source: Uint8Array, start: number, end: number): void {
    this.ensure((end - start) * 2);
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < end; index++) {
      const byte = source[index]!;
      bytes[at++] = HEX[byte >> 4]!;
      bytes[at++] = HEX[byte & 15]!;
    }
    this.length = at;
  }

  /** Appends COPY's NULL. */
  null(): void {
    this.ensure(2);
    this.bytes[this.length++] = BACKSLASH;
    this.bytes[this.length++] = 0x4e;
  }

  tab(): void {
    this.ensure(1);
    this.bytes[this.length++] = TAB;
  }

  newline(): void {
    this.ensure(1);
    this.bytes[this.length++] = NEWLINE;
  }

  /** What was written so far, without copying. */
  view(start = 0, end = this.length): Buffer {
    return this.bytes.subarray(start, end);
  }
}
