import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ImportLog } from './log/import-log.ts';
import type { NoticeTarget } from './notify/notifier.ts';

/** Options of {@link ReplicaEngine}. */
export interface ReplicaEngineOptions {
  /**
   * The configuration: the path of a YAML file, or an object of the same shape – hypervault's with a section `import`,
   * or pg_chameleon's.
   */
  readonly config: string | object;
  /** Values for `${NAME}` in a configuration file. @default none */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Has the shape of console or pino. @default silent */
  readonly logger?: ImportLog | undefined;
  /** Called with what a person should hear of, beside Rollbar and webhook of the configuration. */
  readonly onNotice?: NoticeTarget | undefined;
}

const KEYS = ['config', 'environment', 'logger', 'onNotice'];

export function resolveReplicaEngineOptions(options: ReplicaEngineOptions): ReplicaEngineOptions {
  assertKnownKeys(options, KEYS, 'ReplicaEngine options');
  if (typeof options.config !== 'string' && (typeof options.config !== 'object' || options.config === null)) {
    throw new ConfigurationError('ReplicaEngine options: config is the path of a YAML file, or an object of its shape');
  }
  return options;
}
