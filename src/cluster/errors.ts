/**
 * Errors of the cluster module.
 *
 * ```
 * HypervaultError
 * ├─ MapConflictError        somebody else changed the map meanwhile; nothing was written
 * ├─ MapRefusedError         the map contradicts what the shards say of themselves; `problems` lists where
 * ├─ MapMissingError         the control database holds no map, and there is none on disk
 * ├─ ServerOutdatedError     a server's shards are not those of the map, as after a restore from an old backup
 * ├─ MigrationsFailedError   migrations failed on some shards; `failures` lists them, the others are done
 * ├─ LookupTakenError        another row has this unique value; `key` names it
 * ├─ AtomicWriteUndoneError  an atomic write over several shards certainly did not happen
 * ├─ AtomicPartLostError     an atomic write is decided, and a failover has lost its part on some shards
 * ├─ MovesFailedError        some moves of a plan failed; `failures` lists them, the others are done
 * └─ Move…Error              see move/errors.ts
 * ```
 *
 * @module
 */

import type { Key } from '../core/index.ts';
import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';
import type { MapProblem } from './fsck.ts';
import type { PlannedMove } from './rebalance/plan.ts';

/** Somebody else changed the map meanwhile: nothing was written. Read it again and decide anew. */
export class MapConflictError extends HypervaultError {
  readonly expectedEpoch: bigint;
  readonly actualEpoch: bigint;

  constructor(expectedEpoch: bigint, actualEpoch: bigint, options?: HypervaultErrorOptions) {
    super(
      'MAP_CONFLICT',
      `the shard map is at epoch ${actualEpoch} by now, not at ${expectedEpoch}: somebody else changed it`,
      options,
    );
    this.expectedEpoch = expectedEpoch;
    this.actualEpoch = actualEpoch;
  }
}

/** The map contradicts the owner rows of the shards: nothing was written. */
export class MapRefusedError extends HypervaultError {
  readonly problems: readonly MapProblem[];

  constructor(problems: readonly MapProblem[]) {
    const first = problems[0]!;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super('MAP_REFUSED', `the map contradicts the shards: ${first.message}${more}; look with hypervault fsck`);
    this.problems = problems;
  }
}

/** There is no map to go by. */
export class MapMissingError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('MAP_MISSING', message, options);
  }
}

/**
 * What a server says of its shards is older than the map, as after a restore from an old backup: nothing is read from it
 * or written to it before `hypervault fsck` has decided.
 */
export class ServerOutdatedError extends HypervaultError {
  readonly server: string;
  readonly problems: readonly MapProblem[];

  constructor(server: string, epoch: bigint, problems: readonly MapProblem[]) {
    const first = problems[0]!;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super(
      'SERVER_OUTDATED',
      `${server} does not fit the shard map of epoch ${epoch}, as after a restore from an old backup: ${first.message}${more}; look with hypervault fsck, which can retire what is out of date`,
    );
    this.server = server;
    this.problems = problems;
  }
}

/** Migrations failed on some shards. The others are done; run them again when the cause is mended. */
export class MigrationsFailedError extends HypervaultError {
  /** Ascending by shard. */
  readonly failures: readonly { readonly shardId: number; readonly server: string; readonly error: unknown }[];

  constructor(failures: readonly { readonly shardId: number; readonly server: string; readonly error: unknown }[]) {
    const { shardId, server, error } = failures[0]!;
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
    const why = error instanceof Error ? error.message : String(error);
    super('MIGRATIONS_FAILED', `shard ${shardId} on ${server} failed${more}: ${why}`, { cause: error });
    this.failures = failures;
  }
}

/** Some moves of a plan failed. The others are done; a new plan takes up what was begun. */
export class MovesFailedError extends HypervaultError {
  readonly failures: readonly { readonly move: PlannedMove; readonly error: unknown }[];

  constructor(failures: readonly { readonly move: PlannedMove; readonly error: unknown }[]) {
    const { move, error } = failures[0]!;
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
    const why = error instanceof Error ? error.message : String(error);
    super('MOVES_FAILED', `shard ${move.shardId} from ${move.from} to ${move.to} failed${more}: ${why}`, {
      cause: error,
    });
    this.failures = failures;
  }
}

/** Another row has this unique value, or is about to have it. */
export class LookupTakenError extends HypervaultError {
  readonly lookup: string;
  readonly value: string;
  /** Of the row that has it. */
  readonly key: Key;

  constructor(lookup: string, value: string, key: Key) {
    super('LOOKUP_TAKEN', `${lookup}: ${JSON.stringify(value)} belongs to ${key} already`);
    this.lookup = lookup;
    this.value = value;
    this.key = key;
  }
}

/** A session was lost while an atomic write was being decided, and it certainly did not happen on any shard. */
export class AtomicWriteUndoneError extends HypervaultError {
  constructor(cause: unknown) {
    super('ATOMIC_WRITE_UNDONE', 'a session was lost; the atomic write was undone on all its shards', {
      cause,
      retryable: true,
    });
  }
}

/**
 * An atomic write is decided and kept on its other shards, but the servers of these were promoted meanwhile, and their
 * standbys had not got its part: only a synchronous standby rules that out. The decision stays for `hypervault janitor`.
 */
export class AtomicPartLostError extends HypervaultError {
  /** Of the write: the key of its decision. */
  readonly id: string;
  /** The shard that has the decision. */
  readonly coordinator: number;
  /** The shards that lack their part. */
  readonly shards: readonly number[];

  constructor(id: string, coordinator: number, shards: readonly number[]) {
    super(
      'ATOMIC_PART_LOST',
      `the atomic write ${id} is done, but a failover has lost its part on shard ${shards.join(' and ')}: write it there again, then remove the decision from shard ${coordinator}`,
    );
    this.id = id;
    this.coordinator = coordinator;
    this.shards = shards;
  }
}
