import { CommitFormatError } from './errors.ts';

/**
 * How payload bytes become values and back. Both functions are told the key, so that what is valid can differ by key.
 * A payload that does not deserialize never makes a read fail; only touching the value does.
 */
export interface ValueCodec<V> {
  /** Throws when the bytes are no value of this key. */
  deserialize(key: string, bytes: Buffer): V;
  /** Only needed by those who save values rather than bytes. */
  serialize?(key: string, value: V): Uint8Array;
}

/** The bytes are the value. The default everywhere. */
export const rawCodec: ValueCodec<Buffer> = {
  deserialize: (_key, bytes) => bytes,
  serialize: (_key, value) => value,
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Values as JSON in UTF-8. Zero bytes are not JSON and are refused.
 *
 * @example
 * ```ts
 * const storage = new MemoryCommitStorage({ codec: jsonCodec<{ on: boolean }>() });
 * ```
 */
export function jsonCodec<V = unknown>(): ValueCodec<V> {
  return {
    deserialize: (_key, bytes) => JSON.parse(utf8.decode(bytes)) as V,
    serialize: (_key, value) => Buffer.from(JSON.stringify(value)),
  };
}

/** JSON objects only: what a standalone Rainer server demanded of its payloads. */
export const jsonObjectCodec: ValueCodec<Record<string, unknown>> = {
  deserialize(_key, bytes) {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CommitFormatError('the payload is JSON but no object');
    }
    return value as Record<string, unknown>;
  },
  serialize: (_key, value) => Buffer.from(JSON.stringify(value)),
};
