/**
 * `pg-hypervault/key`: ids that say when and where a row was made.
 * Stands alone: neither `pg` nor `Buffer` nor anything of Node is needed, so it runs in a browser too.
 *
 * @module
 */

import { InvalidKeyError } from './errors.ts';
import {
  DEFAULT_EPOCH,
  GENERATOR_LAG_MS,
  GENERATOR_LEAD_MS,
  MAX_ID,
  MAX_SEQUENCE,
  MAX_SHARDS,
  MAX_TIME_MS,
  SEQUENCE_BITS,
  SHARD_BITS,
} from './id-layout.ts';

export { DEFAULT_EPOCH, InvalidKeyError };

const TIME_SHIFT = BigInt(SEQUENCE_BITS + SHARD_BITS);
const LOW_BITS = SEQUENCE_BITS + SHARD_BITS;
const SEQUENCE_MASK = MAX_SEQUENCE - 1;

export interface KeyOptions {
  /** The epoch that the database was installed with, in ms since 1970. @default DEFAULT_EPOCH */
  readonly epoch?: number | undefined;
}

/** What an id is made of. */
export interface KeyParts {
  readonly created: Date;
  readonly shardId: number;
  readonly addedId: number;
}

/**
 * A 64-bit id: 41 bits of milliseconds since the epoch, 13 bits of shard, 10 bits of sequence.
 * The parts are decoded when they are read.
 *
 * @example
 * ```ts
 * const key = new Key('307821103844175873');
 * key.shardId;   // 12
 * key.addedId;   // 1
 * key.created;   // 2014-11-15T14:11:06.450Z
 * ```
 */
export class Key {
  // An own property, not a private one: deep comparison must tell two keys apart.
  readonly id: bigint;
  /** The epoch `created` counts from, in ms since 1970. */
  readonly epoch: number;

  /**
   * @param id - a bigint, or decimal digits
   * @throws InvalidKeyError for anything else: a number (it may have lost digits already), a negative,
   *   fractional or hexadecimal one, signs, spaces, nothing, more than 63 bits
   */
  constructor(id: bigint | string, options?: KeyOptions) {
    this.id = typeof id === 'bigint' && id >= 0n && id <= MAX_ID ? id : parseId(id);
    this.epoch = options === undefined ? DEFAULT_EPOCH : checkedEpoch(options.epoch);
  }

  /** Makes the key of a moment, a shard and a sequence value. */
  static from({ created, shardId, addedId }: KeyParts, options?: KeyOptions): Key {
    const epoch = checkedEpoch(options?.epoch);
    const ms = timeOf(created, 'created') - epoch;
    if (ms < 0 || ms >= MAX_TIME_MS) {
      throw new InvalidKeyError(
        `created: ${new Date(created).toISOString()} is outside what ids of this epoch can hold, ${span(epoch)}`,
      );
    }
    assertPart('shardId', shardId, MAX_SHARDS);
    assertPart('addedId', addedId, MAX_SEQUENCE);
    return new Key((BigInt(ms) << TIME_SHIFT) | BigInt((shardId << SEQUENCE_BITS) | addedId), { epoch });
  }

  /** Orders keys by id, for `sort`: by time, then shard, then sequence. */
  static compare(a: Key, b: Key): -1 | 0 | 1 {
    return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
  }

  /** When the row was made, by its server's clock. */
  get created(): Date {
    return new Date(Number(this.id >> TIME_SHIFT) + this.epoch);
  }

  /** The shard the row lives in, 0 to 8191. */
  get shardId(): number {
    return Number(BigInt.asUintN(LOW_BITS, this.id)) >>> SEQUENCE_BITS;
  }

  /** The sequence value inside the millisecond, 0 to 1023. */
  get addedId(): number {
    return Number(BigInt.asUintN(LOW_BITS, this.id)) & SEQUENCE_MASK;
  }

  /** Whether the other one is a key with the same id. */
  equals(other: unknown): boolean {
    return other instanceof Key && other.id === this.id;
  }

  /** The id in decimal. */
  toString(): string {
    return this.id.toString();
  }

  /** The id as a decimal string: a JSON number would lose digits. */
  toJSON(): string {
    return this.id.toString();
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Key(${this.id}: shard ${this.shardId}, added ${this.addedId}, ${this.created.toISOString()})`;
  }
}

/** The lowest and the highest id, both included. */
export interface IdRange {
  readonly lowest: bigint;
  readonly highest: bigint;
}

export interface IdRangeOptions extends KeyOptions {
  /**
   * Widens the range by what the time inside an id may differ from the clock of its server (16 ms behind, 5 s ahead),
   * so that no row made in the range by the clock is missed. Rows made shortly before and after may then be inside.
   * @default false
   */
  readonly padded?: boolean | undefined;
}

/**
 * The ids of a time range, over all shards; both ends are included, to the millisecond. What lies before
 * the epoch or past its end is cut off. Order of ids is not order of commits: a transaction may commit
 * an id lower than one already seen.
 *
 * @example
 * ```ts
 * const { lowest, highest } = idRange(new Date('2024-01-01'), new Date('2024-02-01'));
 * ```
 * @throws InvalidKeyError when `from` is after `to`, or nothing of the range can be held by an id
 */
export function idRange(from: Date, to: Date, options: IdRangeOptions = {}): IdRange {
  const epoch = checkedEpoch(options.epoch);
  const fromMs = timeOf(from, 'from');
  const toMs = timeOf(to, 'to');
  if (fromMs > toMs) {
    throw new InvalidKeyError(`the range starts at ${from.toISOString()}, after its end ${to.toISOString()}`);
  }
  const first = Math.max(0, fromMs - epoch - (options.padded ? GENERATOR_LAG_MS : 0));
  const last = Math.min(MAX_TIME_MS - 1, toMs - epoch + (options.padded ? GENERATOR_LEAD_MS : 0));
  if (first > last) {
    throw new InvalidKeyError(
      `${from.toISOString()} to ${to.toISOString()} is outside what ids of this epoch can hold, ${span(epoch)}`,
    );
  }
  return { lowest: BigInt(first) << TIME_SHIFT, highest: (BigInt(last + 1) << TIME_SHIFT) - 1n };
}

function parseId(id: unknown): bigint {
  if (typeof id === 'string') {
    // 19 digits hold every 63-bit number, also padded with zeros to sort as text.
    if (/^\d{1,19}$/.test(id)) {
      const value = BigInt(id);
      if (value <= MAX_ID) return value;
    }
    if (/^\d+$/.test(id)) throw new InvalidKeyError(`the id ${shown(id)} is over 63 bits`);
    throw new InvalidKeyError(`the id ${shown(id)} is not a decimal number: give digits only`);
  }
  if (typeof id === 'bigint') {
    throw new InvalidKeyError(id < 0n ? `the id ${id} is negative` : `the id ${id} is over 63 bits`);
  }
  if (typeof id === 'number') {
    throw new InvalidKeyError(
      `the id ${id} is a number, which loses digits above 2^53: use a bigint (${Number.isSafeInteger(id) ? id : '307821103844175873'}n) or a decimal string`,
    );
  }
  const what = id === null ? 'null' : typeof id;
  throw new InvalidKeyError(`an id is a bigint or a decimal string, not ${what}`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function checkedEpoch(epoch: number | undefined): number {
  if (epoch === undefined) return DEFAULT_EPOCH;
  if (Number.isSafeInteger(epoch) && Math.abs(epoch) <= 8.64e15 - MAX_TIME_MS) return epoch;
  throw new InvalidKeyError(`epoch: ${String(epoch)} is not a whole number of milliseconds since 1970`);
}

function timeOf(date: Date, name: string): number {
  const ms = date instanceof Date ? date.getTime() : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidKeyError(`${name}: ${String(date)} is not a valid Date`);
  return ms;
}

function assertPart(name: string, value: number, bound: number): void {
  if (Number.isInteger(value) && value >= 0 && value < bound) return;
  throw new InvalidKeyError(`${name}: ${String(value)} is not a whole number from 0 to ${bound - 1}`);
}

function span(epoch: number): string {
  return `${new Date(epoch).toISOString()} to ${new Date(epoch + MAX_TIME_MS - 1).toISOString()}`;
}
