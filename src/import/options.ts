import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ImportLog } from './log/import-log.ts';
import { LOG_LEVELS, type LogLevel } from './log/levels.ts';
import { NOTICE_LEVELS, type NoticeLevel, type NoticeTarget } from './notify/notifier.ts';
import type { LiveMap } from './route/live-shards.ts';

/** Options of {@link ReplicaEngine}. */
export interface ReplicaEngineOptions {
  /**
   * The configuration: the path of a YAML file, or an object of the same shape – hypervault's with a section `import`,
   * or pg_chameleon's.
   */
  readonly config: string | object;
  /** Values for `${NAME}` in a configuration file. @default none */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /**
   * The shard map to follow when the configuration says `shards: live`, e.g.
   * `await liveShardMap({ control, servers })`. It is not closed with the engine.
   */
  readonly shardMap?: LiveMap | undefined;
  /** Has the shape of console or pino. @default silent */
  readonly logger?: ImportLog | undefined;
  /** Called with what a person should hear of, beside Rollbar and webhook of the configuration. */
  readonly onNotice?: NoticeTarget | undefined;
  /** The least that is logged. @default the configuration's log_level, else `info` */
  readonly logLevel?: LogLevel | undefined;
  /** The least that Rollbar hears of. @default `info` */
  readonly rollbarLevel?: NoticeLevel | undefined;
  /**
   * The process has no terminal: it keeps a log file of that name in log_dir and its process id in pid_dir.
   * @default it does not; a log file is kept when the configuration says `log_dest: file`
   */
  readonly daemon?: string | undefined;
}

const KEYS = ['config', 'environment', 'shardMap', 'logger', 'onNotice', 'logLevel', 'rollbarLevel', 'daemon'];

export function resolveReplicaEngineOptions(options: ReplicaEngineOptions): ReplicaEngineOptions {
  assertKnownKeys(options, KEYS, 'ReplicaEngine options');
  if (typeof options.config !== 'string' && (typeof options.config !== 'object' || options.config === null)) {
    throw new ConfigurationError('ReplicaEngine options: config is the path of a YAML file, or an object of its shape');
  }
  const { logLevel = 'info', rollbarLevel = 'info' } = options;
  if (!LOG_LEVELS.includes(logLevel))
    throw new ConfigurationError(`ReplicaEngine options: logLevel is one of ${LOG_LEVELS.join(', ')}`);
  if (!NOTICE_LEVELS.includes(rollbarLevel))
    throw new ConfigurationError(`ReplicaEngine options: rollbarLevel is one of ${NOTICE_LEVELS.join(', ')}`);
  return options;
}
