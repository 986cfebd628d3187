/**
 * Errors of the core.
 *
 * ```
 * HypervaultError
 * ├─ InvalidArgumentError
 * │  ├─ InvalidKeyError           not an id: a number, negative, over 63 bits, not decimal
 * │  ├─ InvalidBodyError          a field that hstore can't hold; `field` names it
 * │  └─ UnknownShardError         no server of the shard map holds this shard
 * └─ ConfigurationError
 *    └─ ShardRangeError           a range is malformed, out of bounds, reversed, or overlaps another
 * ```
 *
 * @module
 */

import { ConfigurationError, type HypervaultErrorOptions, InvalidArgumentError } from '../errors.ts';

/** The value is not an id: a number, negative, over 63 bits, not decimal. */
export class InvalidKeyError extends InvalidArgumentError {
  override readonly code: string = 'INVALID_KEY';
}

/** A field of a body can't be stored. */
export class InvalidBodyError extends InvalidArgumentError {
  override readonly code: string = 'INVALID_BODY';
  /** The field at fault; `undefined` when the body itself is. */
  readonly field: string | undefined;

  constructor(message: string, field?: string, options?: HypervaultErrorOptions) {
    super(message, options);
    this.field = field;
  }
}

/** No server of the shard map holds this shard. */
export class UnknownShardError extends InvalidArgumentError {
  override readonly code: string = 'UNKNOWN_SHARD';
  readonly shardId: number;
  /** The ranges that are known, e.g. `1-9,12-16`. */
  readonly knownRanges: string;

  constructor(shardId: number, knownRanges: string, options?: HypervaultErrorOptions) {
    super(
      `no server holds shard ${shardId}; shards known: ${knownRanges === '' ? 'none' : knownRanges} (half-open)`,
      options,
    );
    this.shardId = shardId;
    this.knownRanges = knownRanges;
  }
}

/** A shard range is malformed, out of bounds, reversed, or overlaps another one. */
export class ShardRangeError extends ConfigurationError {
  override readonly code: string = 'SHARD_RANGE';
}
