import type { ConnectionSettings, DatastoreOptions, ShardRangesInput } from '../core/index.ts';

/** One server: how to reach it. Which shards it holds stands under `shards`. */
export interface ServerConfiguration extends ConnectionSettings {
  /** Hosts that follow this server's primary and may take its place: looked at like those in `hosts`. */
  readonly standbys?: readonly string[] | undefined;
}

/** The database that holds settings, shard map and moves: the name of a server, or also a database on it. */
export type ControlConfiguration = string | { readonly server: string; readonly database?: string | undefined };

/** The sizes and bounds of the Datastore's pools. */
export type PoolConfiguration = Omit<DatastoreOptions, 'epoch' | 'slots' | 'firstShard' | 'schemaPrefix' | 'logger'>;

/** The options of one module: an object, or `true` for all its defaults. */
export type SectionConfiguration = Readonly<Record<string, unknown>> | boolean | null;

/** Modules that a configuration switches on by naming them. */
export const SECTION_NAMES = ['kv', 'listen', 'streams', 'import', 'cluster'] as const;
export type SectionName = (typeof SECTION_NAMES)[number];

/**
 * The one configuration, the same for programs and the command line, in YAML, JSON or code.
 *
 * @example
 * ```yaml
 * servers:
 *   eu1: { host: db1, database: app, user: app, password: '${DB_PASSWORD}' }
 *   eu2: { host: db2, database: app, user: app, password: '${DB_PASSWORD}' }
 * shards:
 *   eu1: 1-9
 *   eu2: 9-17
 * control: eu1
 * pool: { poolMax: 20 }
 * kv:
 * ```
 */
export interface Configuration extends Partial<Readonly<Record<SectionName, SectionConfiguration | undefined>>> {
  /** Servers by name. */
  readonly servers: Readonly<Record<string, ServerConfiguration>>;
  /** Server names mapped to half-open ranges, or `live` to follow the map in the control database. */
  readonly shards?: 'live' | Readonly<Record<string, ShardRangesInput>> | undefined;
  readonly control?: ControlConfiguration | undefined;
  /** Routing slots. Fixed at the first install. @default the contiguous shards present at the first install */
  readonly slots?: number | undefined;
  /** Shard of slot 0. Fixed at the first install. @default the lowest shard present at the first install */
  readonly firstShard?: number | undefined;
  /** What ids count from: ms since 1970, or a time in ISO 8601. Fixed at the first install. @default 1379365531352 */
  readonly epoch?: number | string | Date | undefined;
  /** Shard schemas are this prefix and four digits. @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  readonly pool?: PoolConfiguration | undefined;
}

/** Every key a configuration may have. */
export const CONFIGURATION_KEYS = [
  'servers',
  'shards',
  'control',
  'slots',
  'firstShard',
  'epoch',
  'schemaPrefix',
  'pool',
  ...SECTION_NAMES,
] as const satisfies readonly (keyof Configuration)[];

/** Every key of `pool`. */
export const POOL_KEYS = [
  'poolMax',
  'poolBlockTimeoutMs',
  'maxWaiting',
  'maxQueued',
  'requestTimeoutMs',
  'maxBatchSize',
  'idleTimeoutMs',
  'maxClientAgeMs',
  'maxReplicaLagMs',
  'prepare',
] as const satisfies readonly (keyof PoolConfiguration)[];
