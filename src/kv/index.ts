export { AutoPublisher, type AutoPublisherOptions } from './auto-publisher.ts';
export { jsonCodec, jsonObjectCodec, rawCodec, type ValueCodec } from './codec.ts';
export {
  Commit,
  type CommitInput,
  type CommitValue,
  MAX_AUTHOR_BYTES,
  MAX_COMMENT_BYTES,
  MAX_KEY_BYTES,
  MAX_VERSION,
} from './commit.ts';
export { type CommitMeta, parseCommitMeta } from './commit-meta.ts';
export { type DiffOptions, diffPayloads } from './diff.ts';
export { type DryRun, dryRun } from './dry-run.ts';
export { fromEnvelope, toEnvelope } from './envelope.ts';
export {
  CommitFormatError,
  CommitOrderingError,
  CommitRefusedError,
  ConcurrentCommitError,
  HttpStorageError,
  RevisionCompactedError,
  UnsupportedByStorageError,
} from './errors.ts';
export { type SaveHook, withPostSaveHook, withPreSaveHook } from './hooks.ts';
export type { AccessRights, CommitToken } from './http/access.ts';
export type { CommitServerOptions, HeadsSource } from './http/options.ts';
export { type RunningCommitServer, type ServeOptions, serveCommits } from './http/serve.ts';
export { createCommitServer } from './http/server.ts';
export { HttpCommitStorage, type HttpStorageOptions } from './http-storage.ts';
export { parseIsoTime } from './iso-time.ts';
export { jsonSchemaHook, type SchemasByPrefix } from './json-schemas.ts';
export { CommitKeeper } from './keeper.ts';
export { keeperPublishing } from './keeper-publishing.ts';
export { KvDatabase, type KvDatabaseOptions } from './kv-database.ts';
export { MemoryCommitStorage, type MemoryStorageOptions } from './memory-storage.ts';
export { CommitMirror, type HeadChange, type MirrorEvents, type MirrorOptions } from './mirror.ts';
export { Kv, type KvOptions, openKv } from './open-kv.ts';
export type { PostgresKvOptions } from './options.ts';
export { PostgresCommitStorage } from './postgres-storage.ts';
export type { Retention } from './retention.ts';
export {
  type RollbackKeyOptions,
  type RollbackOptions,
  type RollbackStep,
  rollbackKey,
  rollbackPrefix,
} from './rollback.ts';
export {
  type CallOptions,
  type Changes,
  type ChangesOptions,
  type CommitJournal,
  type CommitStorage,
  type HeadsOptions,
  type HistoryOptions,
  isJournal,
  type SaveAllOptions,
  type Snapshot,
  type WatchOptions,
} from './storage.ts';
export { readCommitFile } from './transfer/commit-file.ts';
export { type ExportOptions, exportCommits } from './transfer/export-commits.ts';
export { type ImportCommitsOptions, type ImportProgress, importCommits } from './transfer/import-commits.ts';
export { readNdjson, toNdjson } from './transfer/ndjson.ts';
export { type RainerTable, readRainerTable } from './transfer/rainer-table.ts';
export { readRainerDump } from './transfer/sql-dump.ts';
export { type UpdateOptions, updateKey } from './update.ts';
