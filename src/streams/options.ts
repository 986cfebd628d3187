import type { Logger } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';

/** Options of an event store. Durations are milliseconds. */
export interface StreamsOptions {
  /** How long an operation is tried again while its server is away; after that it rejects. @default 30000 */
  readonly retryMs?: number | undefined;
  /** A statement that takes longer has its session cut. @default 30000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Largest event, its body, metadata and type together, in bytes. @default 4194304 */
  readonly maxEventBytes?: number | undefined;
  /** Events that one gathered append carries at most; also the chunk of `publish(asyncIterable)`. @default 500 */
  readonly maxAppendEvents?: number | undefined;
  /** Appends that may wait for a server; more are refused with `QueueFullError`. @default 100000 */
  readonly maxQueued?: number | undefined;
  /** Sessions of each server that appends may use. @default 2 */
  readonly maxAppendSessions?: number | undefined;
  /** Sessions of each server that reads may use. @default 2 */
  readonly maxReadSessions?: number | undefined;
  /** Least time between two sequencing passes of one shard. @default 2 */
  readonly passIntervalMs?: number | undefined;
  /** How often a shard with subscribers is looked at although no notification came. @default 250 */
  readonly pollMs?: number | undefined;
  /** Never LISTEN, only poll: behind a pooler in transaction mode. @default false */
  readonly pollOnly?: boolean | undefined;
  /** How long `close()` waits for work in hand. @default 10000 */
  readonly closeTimeoutMs?: number | undefined;
  /** Gets one line for each thing that went wrong and was mended. @default silent */
  readonly logger?: Logger | undefined;
}

export type ResolvedStreamsOptions = {
  readonly [Name in Exclude<keyof StreamsOptions, 'logger'>]-?: NonNullable<StreamsOptions[Name]>;
} & { readonly logger: Logger | undefined };

export const STREAMS_DEFAULTS = {
  retryMs: 30_000,
  requestTimeoutMs: 30_000,
  maxEventBytes: 4 * 1024 * 1024,
  maxAppendEvents: 500,
  maxQueued: 100_000,
  maxAppendSessions: 2,
  maxReadSessions: 2,
  passIntervalMs: 2,
  pollMs: 250,
  pollOnly: false,
  closeTimeoutMs: 10_000,
} as const;

export const STREAMS_OPTION_KEYS: readonly string[] = [...Object.keys(STREAMS_DEFAULTS), 'logger'];

/** Fills in defaults. @throws ConfigurationError for an unknown key or a value out of bounds */
export function resolveStreamsOptions(options: StreamsOptions): ResolvedStreamsOptions {
  assertKnownKeys(options, STREAMS_OPTION_KEYS, 'streams options');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { logger: undefined, ...STREAMS_DEFAULTS, ...given } as ResolvedStreamsOptions;
  for (const name of Object.keys(STREAMS_DEFAULTS) as (keyof typeof STREAMS_DEFAULTS)[]) {
    if (name === 'pollOnly') continue;
    const least = name === 'passIntervalMs' || name === 'retryMs' ? 0 : 1;
    checkWhole(`streams options: ${name}`, resolved[name], least);
  }
  return resolved;
}

/** @throws ConfigurationError */
export function checkWhole(name: string, value: unknown, least: number, most = 2 ** 31 - 1): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw new ConfigurationError(`${name} must be a whole number from ${least} to ${most}, not ${String(value)}`);
}
