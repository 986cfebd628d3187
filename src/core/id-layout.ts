/**
 * How the 64 bits of an id are laid out. The SQL id generator repeats these numbers
 * (`sql/core/server/functions/`); they can never change, since ids are stored.
 *
 * ```
 *  63 | 62 … 23                      | 22 … 10   | 9 … 0
 *   0 | milliseconds since the epoch | shard     | sequence
 * ```
 *
 * The top one of the 41 bits of time is the sign of a Postgres bigint and stays 0, so 40 are usable:
 * ids of the default epoch last until 2048-07-20.
 *
 * @module
 */

/** Default epoch in ms since 1970: 2013-09-16T21:05:31.352Z, that of the original tool. */
export const DEFAULT_EPOCH = 1_379_365_531_352;

/** Bits of the sequence, the lowest ones. */
export const SEQUENCE_BITS = 10;
/** Bits of the shard. */
export const SHARD_BITS = 13;
/** Shards are 0 to 8191. */
export const MAX_SHARDS = 1 << SHARD_BITS;
/** Sequence values are 0 to 1023. */
export const MAX_SEQUENCE = 1 << SEQUENCE_BITS;
/** Times are below this many ms after the epoch: 2^40. */
export const MAX_TIME_MS = 2 ** 40;
/** The highest id, that of Postgres' bigint: 2^63 − 1. */
export const MAX_ID = (1n << 63n) - 1n;

/** How far the time inside an id may lag behind the server's clock (K of the generator). */
export const GENERATOR_LAG_MS = 16;
/** How far the time inside an id may run ahead of the server's clock before the generator refuses to go on. */
export const GENERATOR_LEAD_MS = 5_000;
