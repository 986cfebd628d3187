/**
 * Errors of the core.
 *
 * ```
 * HypervaultError
 * ├─ InvalidArgumentError
 * │  ├─ InvalidKeyError           not an id: a number, negative, over 63 bits, not decimal
 * │  ├─ InvalidBodyError          a field that hstore can't hold; `field` names it
 * │  ├─ UnknownShardError         no server of the shard map holds this shard
 * │  └─ ConnectionNotLentError    given back twice, or never lent by this Datastore
 * ├─ ConfigurationError
 * │  └─ ShardRangeError           a range is malformed, out of bounds, reversed, or overlaps another
 * ├─ TimeoutError
 * │  └─ PoolTimeoutError          no client of a server within poolBlockTimeoutMs; `cause` says why
 * ├─ QueueFullError               more callers wait than the option allows
 * ├─ KeyConflictError             another entity is stored under this reserved key
 * ├─ ShardMovedError              the shard lives on another server by now; a transaction may be made again
 * ├─ StoredBodyError              what is stored does not fit the kind it is read as
 * ├─ VersionConflictError         the row changed since it was read
 * ├─ RowNotReturnedError          a trigger kept a write from being done as it was asked for
 * └─ ShardFailuresError           work on many shards failed on some; `failures` lists them
 * ```
 *
 * @module
 */

import {
  ConfigurationError,
  HypervaultError,
  type HypervaultErrorOptions,
  InvalidArgumentError,
  TimeoutError,
} from '../errors.ts';

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

/** A connection was given back that this Datastore has not lent, or not any more. */
export class ConnectionNotLentError extends InvalidArgumentError {
  override readonly code: string = 'CONNECTION_NOT_LENT';
}

/** No client of a server could be had in time; `cause` is the last failure to connect, if there was one. */
export class PoolTimeoutError extends TimeoutError {
  override readonly code: string = 'POOL_TIMEOUT';
  readonly server: string;

  constructor(server: string, message: string, options?: HypervaultErrorOptions) {
    super(message, options);
    this.server = server;
  }
}

/** More callers wait than the option allows. Nothing was sent. */
export class QueueFullError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('QUEUE_FULL', message, { retryable: true, ...options });
  }
}

/** Another entity is stored under the key that was reserved ahead. */
export class KeyConflictError extends HypervaultError {
  readonly id: bigint;

  /** @param visible - `false` when another transaction is writing this key at this moment */
  constructor(id: bigint, visible: boolean) {
    super(
      'KEY_CONFLICT',
      visible
        ? `another entity is stored under key ${id} already; a reserved key may be used for one entity`
        : `key ${id} is being written by somebody else at this moment; the same call may be made again`,
      { retryable: !visible },
    );
    this.id = id;
  }
}

/** The row changed since it was read: nothing was written. */
export class VersionConflictError extends HypervaultError {
  readonly id: string;
  readonly expected: string;
  readonly actual: string;

  constructor(id: string, expected: string, actual: string) {
    super('VERSION_CONFLICT', `row ${id} was changed meanwhile: expected version ${expected}, it has ${actual}`);
    this.id = id;
    this.expected = expected;
    this.actual = actual;
  }
}

/**
 * A write succeeded and its row did not come back: a trigger or a rule left the row out, or left it as it was, or gave a
 * new one another id.
 */
export class RowNotReturnedError extends HypervaultError {
  constructor() {
    super(
      'ROW_NOT_RETURNED',
      'the write was done and its row did not come back: a trigger or a rule on the table keeps rows out or changes ids; ' +
        'write such rows in a transaction()',
    );
  }
}

/** Work on many shards failed on at least one; `cause` is the first failure. */
export class ShardFailuresError extends HypervaultError {
  /** Ascending by shard. */
  readonly failures: readonly { readonly shardId: number; readonly error: unknown }[];

  constructor(failures: readonly { readonly shardId: number; readonly error: unknown }[]) {
    const { shardId, error } = failures[0]!;
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
    super(
      'SHARD_FAILURES',
      `shard ${shardId} failed${more}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
    this.failures = failures;
  }
}

/**
 * The shard moved to another server while a callback worked on it; by the time this is thrown the datastore knows the new
 * place. Nothing of a transaction was kept, so that it may be made again; `retryable` is false when the callback had done
 * something outside of one before.
 */
export class ShardMovedError extends HypervaultError {
  readonly shardId: number;
  /** Where the shard lives now. */
  readonly server: string;

  constructor(shardId: number, server: string, options?: HypervaultErrorOptions) {
    const { retryable = true } = options ?? {};
    const remedy = retryable ? 'make the same call again' : 'what the callback did before that was kept';
    super('SHARD_MOVED', `shard ${shardId} has moved to ${server}; ${remedy}`, { ...options, retryable });
    this.shardId = shardId;
    this.server = server;
  }
}

/** What is stored does not fit the kind it is read as: a field is missing, or holds a text of another type. */
export class StoredBodyError extends HypervaultError {
  /** The name of the kind. */
  readonly kind: string;
  readonly field: string;

  constructor(kind: string, field: string, message: string, options?: HypervaultErrorOptions) {
    super('STORED_BODY', message, options);
    this.kind = kind;
    this.field = field;
  }
}
