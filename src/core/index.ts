import './key-buffer.ts';

export type { ConnectionSettings } from '../internal/endpoint/settings.ts';
export type { AcrossOptions, AcrossResult } from './across.ts';
export type { Caller } from './caller.ts';
export type { OrderBy } from './column-order.ts';
export type { Combination } from './combine.ts';
export { type ConnectionEntry, shardMapOf } from './connection-entry.ts';
export type { Cursor, TransactionOptions } from './cursor.ts';
export { Datastore } from './datastore.ts';
export type { RemoveOptions, UpdateOptions } from './entities.ts';
export type { Body, Entity } from './entity.ts';
export type { FindOptions, ScanOptions } from './entity-scan.ts';
export {
  ConnectionNotLentError,
  InvalidBodyError,
  InvalidKeyError,
  KeyConflictError,
  PoolTimeoutError,
  QueueFullError,
  RowNotReturnedError,
  ShardFailuresError,
  ShardMovedError,
  ShardRangeError,
  StoredBodyError,
  UnknownShardError,
  VersionConflictError,
} from './errors.ts';
export type { FanOutOptions, FanOutResult, ShardFailure } from './fan-out.ts';
export { type FieldCodec, field, type OptionalFieldCodec } from './field-codecs.ts';
export {
  checkServer,
  type ExpectedSettings,
  type SchemaVersion,
  type ServerSettings,
} from './first-contact.ts';
export { decodeHstore, encodeHstore, type HstoreBody } from './hstore.ts';
export { type InstallResult, install } from './install.ts';
export { type InstallControlOptions, installControl } from './install-control.ts';
export type { InstallOptions, InstallProgress } from './install-options.ts';
export type { SharedSettings } from './install-settings.ts';
export {
  DEFAULT_EPOCH,
  type IdRange,
  type IdRangeOptions,
  idRange,
  Key,
  type KeyOptions,
  type KeyParts,
} from './key.ts';
export {
  type BodyChanges,
  type BodyInput,
  type BodyMatch,
  type BodyOutput,
  defineKind,
  type FieldCodecs,
  type Kind,
  type KindDefinition,
  type KindInput,
  type KindOutput,
} from './kind.ts';
export type { StatementEvent } from './observe.ts';
export { type DatastoreOptions, DEFAULT_POOL_MAX, type Logger } from './options.ts';
export type { Repository, RepositoryFindOptions, TypedEntity } from './repository.ts';
export { type RoutingSettings, shardFor, slotOf } from './routing.ts';
export { schemaName } from './schema-name.ts';
export type { ServerStats } from './server.ts';
export { type ServerStatus, serverStatus } from './server-status.ts';
export { ShardMap, type ShardServer } from './shard-map.ts';
export { type HandOver, isShardMapSource, type ShardMapSource, staticShardMapSource } from './shard-map-source.ts';
export type { ShardPool, ShardPoolClient } from './shard-pool.ts';
export {
  formatShardRanges,
  parseShardRanges,
  type ShardRange,
  type ShardRangesInput,
  shardsOf,
} from './shard-range.ts';
export type { RowChangeOptions, RowRef, Table, TableOptions } from './table.ts';
export type { Waiting } from './waiting.ts';
