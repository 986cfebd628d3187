import { ConfigurationError } from '../errors.ts';
import { describeValue } from '../internal/describe-value.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { checkRoutingSettings } from './routing.ts';

/** How far an {@link install} has come. */
export interface InstallProgress {
  /** Name of the server. */
  readonly server: string;
  /** The shard that is ready now; `undefined` for what belongs to the whole server. */
  readonly shardId: number | undefined;
  /** Whether anything had to be made or brought up to date. */
  readonly changed: boolean;
  /** Shards ready, over all servers. */
  readonly done: number;
  /** Shards asked for, over all servers. */
  readonly total: number;
  /** Shards a second since the start. */
  readonly rate: number;
}

export interface InstallOptions {
  /** Called after each server's own schema and after each shard. */
  readonly onProgress?: ((progress: InstallProgress) => void) | undefined;
  /** Which modules' SQL to apply, in this order. @default ['core'] */
  readonly modules?: readonly string[] | undefined;
  /** Ms since 1970 that ids count from; fixed at the first install. @default as installed, else 1379365531352 */
  readonly epoch?: number | undefined;
  /** Routing slots; fixed at the first install. @default as installed, else the number of shards when contiguous */
  readonly slots?: number | undefined;
  /** Shard of slot 0; fixed at the first install. @default as installed, else the lowest shard */
  readonly firstShard?: number | undefined;
  /** Shard schemas are this prefix and four digits; fixed at the first install. @default as installed, else 'shard' */
  readonly schemaPrefix?: string | undefined;
  /** Sessions on each server that make shards at the same time. @default 4 */
  readonly concurrency?: number | undefined;
  /** Roles that get the rights a program needs, and no more. @default [] */
  readonly grantTo?: readonly string[] | undefined;
  /** Shards that are only brought up to date: one that is not there, or on the move, is an error. @default none */
  readonly mustBeThere?: ReadonlySet<number> | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULTS = { modules: ['core'], concurrency: 4, grantTo: [] } as const;
const KEYS = [
  ...Object.keys(DEFAULTS),
  'onProgress',
  'epoch',
  'slots',
  'firstShard',
  'schemaPrefix',
  'mustBeThere',
  'signal',
];

/** {@link InstallOptions} with what has a default filled in; the rest waits for what the servers say. */
export type ResolvedInstallOptions = InstallOptions &
  Required<{ [Name in keyof typeof DEFAULTS]: NonNullable<InstallOptions[Name]> }>;

/** @throws ConfigurationError for an unknown key or a value out of bounds */
export function resolveInstallOptions(options: InstallOptions = {}): ResolvedInstallOptions {
  const where = 'install options';
  assertKnownKeys(options, KEYS, where);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedInstallOptions = { ...DEFAULTS, ...given };
  const { epoch, slots, firstShard, schemaPrefix, concurrency, modules, grantTo } = resolved;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
    throw new ConfigurationError(`${where}: concurrency must be a whole number from 1 to 64, not ${concurrency}`);
  }
  if (epoch !== undefined && (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > 2 ** 42)) {
    throw new ConfigurationError(`${where}: epoch must be milliseconds since 1970, not ${describeValue(epoch)}`);
  }
  if ((slots === undefined) !== (firstShard === undefined)) {
    throw new ConfigurationError(`${where}: give slots and firstShard together, or neither`);
  }
  if (slots !== undefined && firstShard !== undefined) checkRoutingSettings({ slots, firstShard });
  if (schemaPrefix !== undefined && !/^[a-z_][a-z0-9_]{0,50}$/.test(schemaPrefix)) {
    throw new ConfigurationError(
      `${where}: schemaPrefix must be lower-case letters, digits and _, at most 51, not ${describeValue(schemaPrefix)}`,
    );
  }
  if (!Array.isArray(modules) || modules[0] !== 'core') {
    throw new ConfigurationError(`${where}: modules must be a list that begins with 'core', the ground of the others`);
  }
  if (!Array.isArray(grantTo) || grantTo.some((role) => typeof role !== 'string' || role === '')) {
    throw new ConfigurationError(`${where}: grantTo must be a list of role names`);
  }
  return resolved;
}
