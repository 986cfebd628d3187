import { InvalidArgumentError } from '../errors.ts';
import { rawCodec, type ValueCodec } from './codec.ts';
import type { CommitMeta } from './commit-meta.ts';
import { parseIsoTime } from './iso-time.ts';

/** Versions are 32-bit integers, on the wire too. */
export const MAX_VERSION = 2 ** 31 - 1;
/** Longest key, in bytes of UTF-8. (A Rainer table in MySQL took 255.) */
export const MAX_KEY_BYTES = 512;
/** Longest author, in bytes of UTF-8. */
export const MAX_AUTHOR_BYTES = 512;
/** Longest comment, in bytes of UTF-8. Comments travel in HTTP headers, and common clients take 16 KiB of those. */
export const MAX_COMMENT_BYTES = 8_192;

/** What a commit is made from. A {@link Commit} is one, too. */
export interface CommitInput {
  /** Not empty, at most {@link MAX_KEY_BYTES}, no NUL character. */
  readonly key: string;
  /** The newest version of the key + 1; the first is 1. */
  readonly version: number;
  /** The bytes, kept as they are; `null` makes a tombstone: the key is gone, its history stays. */
  readonly payload: Uint8Array | null;
  /** @default '' */
  readonly author?: string | undefined;
  /** @default '' */
  readonly comment?: string | undefined;
  /** A `Date`, or ISO 8601 text. Kept to the millisecond. @default now */
  readonly mtime?: Date | string | undefined;
  /** When given, must agree with `payload`. */
  readonly empty?: boolean | undefined;
  /** Set by storages that number their changes; callers leave it out. */
  readonly revision?: bigint | undefined;
}

/** A payload's value: there is none (`undefined`), it can be read, or it can't and says why. */
export type CommitValue<V> = { readonly ok: true; readonly value: V } | { readonly ok: false; readonly error: unknown };

/**
 * One version of one key: the payload's bytes (or none: a tombstone), who saved it, when, and why.
 *
 * @example
 * ```ts
 * const commit = new Commit({ key: 'limits', version: 3, payload: Buffer.from('{"max":9}'), author: 'ann' }, jsonCodec());
 * commit.valueOption;     // { max: 9 }
 * String(commit);          // Commit(limits,3,[9 bytes],ann,,2026-01-31T10:00:00.000Z)
 * ```
 */
export class Commit<V = Buffer> implements CommitInput {
  readonly key: string;
  readonly version: number;
  readonly payload: Buffer | null;
  readonly author: string;
  readonly comment: string;
  readonly mtime: Date;
  /** Its number among all changes of the storage; `undefined` when the storage numbers none. Not part of equality. */
  readonly revision: bigint | undefined;
  readonly #codec: ValueCodec<V>;
  #value: CommitValue<V> | undefined;

  /** @throws InvalidArgumentError naming the field */
  constructor(input: CommitInput, codec?: ValueCodec<V>) {
    this.key = checkedKey(input.key);
    this.version = checkedVersion(input.version);
    this.payload = checkedPayload(input);
    this.author = checkedText('author', input.author ?? '', MAX_AUTHOR_BYTES);
    this.comment = checkedText('comment', input.comment ?? '', MAX_COMMENT_BYTES);
    this.mtime = checkedTime(input.mtime);
    this.revision = input.revision;
    this.#codec = codec ?? (rawCodec as unknown as ValueCodec<V>);
  }

  /** Whether this is a tombstone. Zero bytes are a payload like any other. */
  get isEmpty(): boolean {
    return this.payload === null;
  }

  /** The same as {@link isEmpty}, by the name it has on the wire. */
  get empty(): boolean {
    return this.payload === null;
  }

  /** The fields beside the payload, as they stand in JSON. */
  get meta(): CommitMeta {
    const { key, version, author, comment, mtime, empty } = this;
    return { key, version, author, comment, mtime: mtime.toISOString(), empty };
  }

  /** The payload read by the codec, once: `undefined` on a tombstone, `ok: false` when the bytes are no value. */
  get value(): CommitValue<V> | undefined {
    if (this.payload === null) return undefined;
    if (this.#value === undefined) {
      try {
        this.#value = { ok: true, value: this.#codec.deserialize(this.key, this.payload) };
      } catch (error) {
        this.#value = { ok: false, error };
      }
    }
    return this.#value;
  }

  /** The value; `undefined` on a tombstone and when the bytes are no value. */
  get valueOption(): V | undefined {
    const value = this.value;
    return value?.ok === true ? value.value : undefined;
  }

  /** The same bytes with another codec. */
  withCodec<W>(codec: ValueCodec<W>): Commit<W> {
    return new Commit(this, codec);
  }

  /** Whether key, version, payload bytes, author, comment and instant are the same. */
  equals(other: Commit<unknown>): boolean {
    return (
      this.key === other.key &&
      this.version === other.version &&
      this.author === other.author &&
      this.comment === other.comment &&
      this.mtime.getTime() === other.mtime.getTime() &&
      (this.payload === null ? other.payload === null : other.payload !== null && this.payload.equals(other.payload))
    );
  }

  toString(): string {
    const payload = this.payload === null ? '[empty]' : `[${this.payload.length.toLocaleString('en-US')} bytes]`;
    return `Commit(${[this.key, this.version, payload, this.author, this.comment, this.mtime.toISOString()].join(',')})`;
  }
}

function checkedKey(key: string): string {
  checkedText('key', key, MAX_KEY_BYTES);
  if (key === '') throw new InvalidArgumentError('the key of a commit may not be empty');
  return key;
}

function checkedVersion(version: number): number {
  if (Number.isInteger(version) && version <= MAX_VERSION && version >= -MAX_VERSION - 1) return version;
  throw new InvalidArgumentError(`the version of a commit must be a 32-bit integer, not ${String(version)}`);
}

function checkedPayload({ key, payload, empty }: CommitInput): Buffer | null {
  if (payload === undefined && empty !== true) {
    throw new InvalidArgumentError(`the commit of ${key} has no payload; a tombstone is made with payload: null`);
  }
  const bytes = payload ?? null;
  if (empty !== undefined && empty !== (bytes === null)) {
    throw new InvalidArgumentError(`the commit of ${key}: empty and payload must match`);
  }
  if (bytes === null) return null;
  if (!(bytes instanceof Uint8Array)) {
    throw new InvalidArgumentError(`the payload of ${key} must be bytes (a Buffer or Uint8Array) or null`);
  }
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checkedText(field: string, text: string, maxBytes: number): string {
  if (typeof text !== 'string') throw new InvalidArgumentError(`the ${field} of a commit must be a text`);
  if (text.includes('\0')) throw new InvalidArgumentError(`the ${field} of a commit may not hold a NUL character`);
  if (/\p{Surrogate}/u.test(text)) {
    throw new InvalidArgumentError(`the ${field} of a commit holds half a surrogate pair: it has no form in UTF-8`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    throw new InvalidArgumentError(`the ${field} of a commit has ${bytes} bytes; at most ${maxBytes} are kept`);
  }
  return text;
}

function checkedTime(mtime: Date | string | undefined): Date {
  const date = mtime === undefined ? new Date() : typeof mtime === 'string' ? parseIsoTime(mtime) : mtime;
  const year = date instanceof Date ? date.getUTCFullYear() : Number.NaN;
  if (year >= 1 && year <= 9999) return date;
  throw new InvalidArgumentError('the mtime of a commit must be a valid time between the years 1 and 9999');
}
