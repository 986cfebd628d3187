/** Reads the little-endian numbers of MySQL's binary formats out of a buffer. `at` is public: decoders step over it. */
export class PacketReader {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  u8(): number {
    return this.bytes[this.at++]!;
  }

  u16(): number {
    const value = this.bytes[this.at]! | (this.bytes[this.at + 1]! << 8);
    this.at += 2;
    return value;
  }

  u32(): number {
    const value = this.bytes.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  u48(): number {
    const value = this.bytes.readUIntLE(this.at, 6);
    this.at += 6;
    return value;
  }

  /** A length-encoded integer. */
  length(): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) {
      const value = this.bytes.readUIntLE(this.at, 3);
      this.at += 3;
      return value;
    }
    const value = Number(this.bytes.readBigUInt64LE(this.at));
    this.at += 8;
    return value;
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Buffer {
    const slice = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return slice;
  }

  /** UTF-8 text with its length in front. */
  text(): string {
    return this.take(this.length()).toString('utf8');
  }

  get done(): boolean {
    return this.at >= this.end;
  }
}
