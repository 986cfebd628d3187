export type { CopyResult } from './commands/copy-source.ts';
export type { InitOptions } from './commands/init-replica.ts';
export type { StartOptions } from './commands/start-replica.ts';
export type { StopOptions } from './commands/stop-replica.ts';
export { ReplicaEngine } from './engine.ts';
export {
  BinlogPurgedError,
  ImportError,
  MissingPeerError,
  PreflightError,
  type Problem,
  ReplicaStateError,
  SourceUnavailableError,
  UnrepresentableValueError,
} from './errors.ts';
export type { ImportLog } from './log/import-log.ts';
export type { Notice, NoticeTarget } from './notify/notifier.ts';
export type { ReplicaEngineOptions } from './options.ts';
export type { CopyProgress } from './snapshot/progress.ts';
