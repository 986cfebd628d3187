import { assertKnownKeys } from '../../internal/known-keys.ts';
import { BadRequestError } from '../errors.ts';
import type { StartPosition } from '../reader.ts';
import type { Source } from '../stream-name.ts';

/**
 * How a group deals its events out.
 *
 * - `ordered`: the events of a stream go to one consumer at a time, in order; streams are spread over the consumers
 * - `pinned`: the same, by the name it has elsewhere
 * - `roundRobin`: any event to any consumer that has room; no order
 * - `dispatchToSingle`: all events to one consumer, in order; the others stand by (in each shard one)
 */
export type ConsumerStrategy = 'ordered' | 'pinned' | 'roundRobin' | 'dispatchToSingle';

const STRATEGIES = ['ordered', 'pinned', 'roundRobin', 'dispatchToSingle'] as const satisfies ConsumerStrategy[];

/** What may be changed later. Durations are milliseconds. */
export interface PersistentSettings {
  /** How long a consumer may have an event in hand before it is tried again. @default 30000 */
  readonly timeoutMs?: number | undefined;
  /** How often an event is tried again before it is parked. @default 10 */
  readonly maxRetryCount?: number | undefined;
  /** How long a retry waits when nothing else is said. @default 0 */
  readonly retryDelayMs?: number | undefined;
  /** Consumers that may be connected at once, in each shard. @default 10 */
  readonly maxSubscriberCount?: number | undefined;
  /** Events of one page read from the log. @default 500 */
  readonly readBatchSize?: number | undefined;
  /** Events that a consumer keeps ready, and retries that may wait in one consumer's slices. @default 1000 */
  readonly bufferSize?: number | undefined;
  /** What was settled is written down after so long at the latest. @default 100 */
  readonly checkpointAfterMs?: number | undefined;
  /**
   * … and sooner, when it is so many events: at once, or on a busy consumer after a rest of 20 ms at most. @default 10
   */
  readonly checkpointMinCount?: number | undefined;
  /**
   * … without that rest, when it is so many. No more is read of a slice while so many of its events wait, or are settled
   * behind one that is not. @default 1000
   */
  readonly checkpointMaxCount?: number | undefined;
  /** A consumer that gave no sign of life for so long counts as dead, and its events go to others. @default 5000 */
  readonly leaseMs?: number | undefined;
  /** Put the event that a link stands for in its place. @default true */
  readonly resolveLinks?: boolean | undefined;
}

/** What is fixed when the group is made. */
export interface CreateSettings extends PersistentSettings {
  /**
   * The first event wanted: a number in a stream; a position in a category or `$all`.
   * @default 'end': only what is new
   */
  readonly startFrom?: bigint | StartPosition | undefined;
  /** @default 'ordered' */
  readonly strategy?: ConsumerStrategy | undefined;
  /** Into how many slices an ordered group divides its streams, in each shard. @default 8; 1 for a single stream */
  readonly partitions?: number | undefined;
}

/** As they are kept with the group. */
export type ResolvedSettings = {
  readonly [Name in keyof PersistentSettings]-?: NonNullable<PersistentSettings[Name]>;
};

export const PERSISTENT_DEFAULTS: ResolvedSettings = {
  timeoutMs: 30_000,
  maxRetryCount: 10,
  retryDelayMs: 0,
  maxSubscriberCount: 10,
  readBatchSize: 500,
  bufferSize: 1_000,
  checkpointAfterMs: 100,
  checkpointMinCount: 10,
  checkpointMaxCount: 1_000,
  leaseMs: 5_000,
  resolveLinks: true,
};

const LEAST: { readonly [Name in keyof ResolvedSettings]?: number } = {
  maxRetryCount: 0,
  retryDelayMs: 0,
  checkpointAfterMs: 1,
  leaseMs: 200,
};

/** Checks the settings that are given and fills in the others. @throws ConfigurationError, BadRequestError */
export function resolveSettings(given: PersistentSettings, base: ResolvedSettings): ResolvedSettings {
  assertKnownKeys(given, Object.keys(PERSISTENT_DEFAULTS), 'persistent subscription settings');
  const wanted = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const resolved: ResolvedSettings = { ...base, ...wanted };
  for (const [name, value] of Object.entries(resolved)) {
    if (name === 'resolveLinks') continue;
    const least = LEAST[name as keyof ResolvedSettings] ?? 1;
    const most = name === 'readBatchSize' ? 10_000 : 2 ** 31 - 1;
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) continue;
    throw new BadRequestError(`${name} must be a whole number from ${least} to ${most}, not ${String(value)}`);
  }
  return resolved;
}

/** How the shards see a strategy: the events in order within slices, or dealt out as they come. */
export function dealing(
  { strategy = 'ordered', partitions }: CreateSettings,
  source: Source,
): { strategy: 'ordered' | 'roundRobin'; slices: number } {
  if (!STRATEGIES.includes(strategy)) {
    throw new BadRequestError(`strategy must be one of ${STRATEGIES.join(', ')}, not ${JSON.stringify(strategy)}`);
  }
  if (partitions !== undefined && (!Number.isInteger(partitions) || partitions < 1 || partitions > 1024)) {
    throw new BadRequestError(`partitions must be a whole number from 1 to 1024, not ${String(partitions)}`);
  }
  if (strategy === 'roundRobin') return { strategy, slices: 1 };
  if (strategy === 'dispatchToSingle' || source.kind === 'stream') return { strategy: 'ordered', slices: 1 };
  return { strategy: 'ordered', slices: partitions ?? 8 };
}
