import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { DEFAULT_EPOCH } from './id-layout.ts';

/** What takes log lines: `console`, pino, or anything of that shape. */
export interface Logger {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Options of the Datastore. Durations are milliseconds. */
export interface DatastoreOptions {
  /** Most clients kept for each connection entry. @default 10 */
  readonly poolMax?: number | undefined;
  /** How long a caller waits for a client before `PoolTimeoutError`. @default 5000 */
  readonly poolBlockTimeoutMs?: number | undefined;
  /** Callers that may wait for a client of one server; more are refused with `QueueFullError`. @default 1000 */
  readonly maxWaiting?: number | undefined;
  /** Gathered calls (`get`, `put` …) that may wait or be under way on one server. @default 200000 */
  readonly maxQueued?: number | undefined;
  /**
   * Longest time one statement of the datastore's own may take before its session is cut and the statement cancelled. Not
   * for scans, nor for writes that wait for a row lock. @default 30000
   */
  readonly requestTimeoutMs?: number | undefined;
  /** Keys, or rows, that travel in one gathered batch. @default 512 */
  readonly maxBatchSize?: number | undefined;
  /** An idle client is closed after this time. @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
  /** A client is replaced when it is older than this, so that backends give their memory back. @default 1800000 */
  readonly maxClientAgeMs?: number | undefined;
  /**
   * Lets standbys answer the reads of `db.caller()` while they are no older than this; an entry's standbys are among its
   * `hosts`. @default only primaries answer
   */
  readonly maxReplicaLagMs?: number | undefined;
  /** Prepare statements by name; `false` for poolers that don't follow them (PgBouncer before 1.21). @default true */
  readonly prepare?: boolean | undefined;
  /** Ms since 1970 that ids count from; checked against each server on first contact. @default 1379365531352 */
  readonly epoch?: number | undefined;
  /** Routing slots, as fixed at install; read from the servers when absent. */
  readonly slots?: number | undefined;
  /** Shard of slot 0, as fixed at install; read from the servers when absent. */
  readonly firstShard?: number | undefined;
  /** Shard schemas are this prefix and four digits. @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  /** Gets every statement with its duration, server and shard; never values. @default silent */
  readonly logger?: Logger | undefined;
}

/** Clients kept for each server unless the options say otherwise. */
export const DEFAULT_POOL_MAX = 10;

const DEFAULTS = {
  poolMax: DEFAULT_POOL_MAX,
  poolBlockTimeoutMs: 5_000,
  maxWaiting: 1_000,
  maxQueued: 200_000,
  requestTimeoutMs: 30_000,
  maxBatchSize: 512,
  idleTimeoutMs: 60_000,
  maxClientAgeMs: 30 * 60_000,
  prepare: true,
  epoch: DEFAULT_EPOCH,
  schemaPrefix: 'shard',
} as const;

const OPTION_KEYS = [...Object.keys(DEFAULTS), 'maxReplicaLagMs', 'slots', 'firstShard', 'logger'];

/** {@link DatastoreOptions} with every default filled in and every value checked. */
export interface ResolvedDatastoreOptions {
  readonly poolMax: number;
  readonly poolBlockTimeoutMs: number;
  readonly maxWaiting: number;
  readonly maxQueued: number;
  readonly requestTimeoutMs: number;
  readonly maxBatchSize: number;
  readonly idleTimeoutMs: number;
  readonly maxClientAgeMs: number;
  readonly prepare: boolean;
  readonly epoch: number;
  readonly schemaPrefix: string;
  readonly maxReplicaLagMs: number | undefined;
  readonly slots: number | undefined;
  readonly firstShard: number | undefined;
  readonly logger: Logger | undefined;
}

/** Fills in defaults; throws {@link ConfigurationError} for an unknown key or a value out of bounds. */
export function resolveDatastoreOptions(options: DatastoreOptions = {}): ResolvedDatastoreOptions {
  assertKnownKeys(options, OPTION_KEYS, 'Datastore options');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const absent = { maxReplicaLagMs: undefined, slots: undefined, firstShard: undefined, logger: undefined };
  const resolved: ResolvedDatastoreOptions = { ...absent, ...DEFAULTS, ...given };
  for (const name of [
    'poolMax',
    'poolBlockTimeoutMs',
    'maxWaiting',
    'maxQueued',
    'requestTimeoutMs',
    'maxBatchSize',
    'idleTimeoutMs',
    'maxClientAgeMs',
    ...(resolved.maxReplicaLagMs === undefined ? [] : (['maxReplicaLagMs'] as const)),
  ] as const) {
    const value: unknown = resolved[name];
    const least = name === 'maxWaiting' ? 0 : 1;
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw new ConfigurationError(`Datastore options: ${name} must be an integer of at least ${least}, not ${value}`);
    }
  }
  if (!Number.isSafeInteger(resolved.epoch) || resolved.epoch < 0) {
    throw new ConfigurationError(`Datastore options: epoch must be milliseconds since 1970, not ${resolved.epoch}`);
  }
  if (!/^[a-z_][a-z0-9_]{0,50}$/.test(resolved.schemaPrefix)) {
    throw new ConfigurationError(
      `Datastore options: schemaPrefix must be lower-case letters, digits and _, at most 51, not ${JSON.stringify(resolved.schemaPrefix)}`,
    );
  }
  return resolved;
}
