export type { ErrorFilter, ErrorRow } from './catalogue/error-rows.ts';
export type { PartOptions } from './commands/copy-part.ts';
export type { CopySchemaResult } from './commands/copy-schema.ts';
export type { CopyResult } from './commands/copy-source.ts';
export type { DetachOptions, DetachResult } from './commands/detach-replica.ts';
export type { InitOptions } from './commands/init-replica.ts';
export type { MaintenanceOptions } from './commands/run-maintenance.ts';
export { type ConfigurationFiles, setConfigurationFiles } from './commands/set-configuration-files.ts';
export type { ImportedMigration } from './commands/show-migration.ts';
export type { SourceSummary } from './commands/show-sources.ts';
export type { SourceDetails, SourceStatusReport } from './commands/show-status.ts';
export type { StartOptions } from './commands/start-replica.ts';
export type { StopOptions } from './commands/stop-replica.ts';
export type { SwitchResult } from './commands/switch.ts';
export type { TakenOver } from './commands/take-over-chameleon.ts';
export type { MappingChange } from './commands/update-schema-mappings.ts';
export type { UpgradeResult } from './commands/upgrade-replica-schema.ts';
export type { VerifiedTable, VerifyOptions, VerifyResult } from './commands/verify.ts';
export { ReplicaEngine } from './engine.ts';
export {
  BinlogPurgedError,
  ImportError,
  LockLostError,
  MissingPeerError,
  PreflightError,
  type Problem,
  ReplicaStateError,
  SourceUnavailableError,
  UnreadableLogError,
  UnrepresentableValueError,
} from './errors.ts';
export type { ImportLog } from './log/import-log.ts';
export { LOG_LEVELS, type LogLevel } from './log/levels.ts';
export { NOTICE_LEVELS, type Notice, type NoticeLevel, type NoticeTarget } from './notify/notifier.ts';
export type { ReplicaEngineOptions } from './options.ts';
export type { LiveMap } from './route/live-shards.ts';
export type { CopyProgress } from './snapshot/progress.ts';
export type { RowDifference } from './verify/confirm.ts';
export type { TableComparison } from './verify/verify-table.ts';
export type { SwitchOptions } from './way-back/switch-work.ts';
