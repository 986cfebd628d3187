import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';

/** How a {@link NotificationHub} keeps its listening session. Durations in milliseconds. */
export interface HubOptions {
  /** How often the session is asked for its life, its role and its registrations; 0 switches it off. @default 10000 */
  readonly heartbeatMs?: number | undefined;
  /** How long the answer may take; a half-open socket is found within both together. @default 5000 */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How often subscribers catch up where LISTEN does not work (behind a pooler in transaction mode). @default 1000 */
  readonly pollMs?: number | undefined;
  /** How often subscribers catch up although notifications arrive; 0 means never. @default 0 */
  readonly backstopMs?: number | undefined;
  /** How often, at the least, a standby is asked whether it was promoted; more often after a short outage. @default 250 */
  readonly rolePollMs?: number | undefined;
  /** First delay after a failed attempt to connect; it doubles. The first attempt after a loss is made at once. @default 1000 */
  readonly backoffMs?: number | undefined;
  /** Longest delay between two attempts. @default 32000 */
  readonly maxBackoffMs?: number | undefined;
  /** A session that lived so long ends the counting of failures. @default 10000 */
  readonly stableMs?: number | undefined;
  /** Gives up for good after so long without a listening session; 0 means never. @default 0 */
  readonly giveUpMs?: number | undefined;
  /** Never LISTEN, only poll: for a pooler that is known to be in the way. @default false */
  readonly pollOnly?: boolean | undefined;
}

export type ResolvedHubOptions = { readonly [Name in keyof HubOptions]-?: NonNullable<HubOptions[Name]> };

export const HUB_DEFAULTS: ResolvedHubOptions = {
  heartbeatMs: 10_000,
  heartbeatTimeoutMs: 5_000,
  pollMs: 1_000,
  backstopMs: 0,
  rolePollMs: 250,
  backoffMs: 1_000,
  maxBackoffMs: 32_000,
  stableMs: 10_000,
  giveUpMs: 0,
  pollOnly: false,
};

/** Durations that may be 0, which switches the thing off. */
const MAY_BE_ZERO = ['heartbeatMs', 'backstopMs', 'stableMs', 'giveUpMs'];

/** Checks the options and fills in what is missing. @throws ConfigurationError */
export function resolveHubOptions(options: HubOptions): ResolvedHubOptions {
  assertKnownKeys(options, Object.keys(HUB_DEFAULTS), 'listen options');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...HUB_DEFAULTS, ...given } as ResolvedHubOptions;
  for (const [name, value] of Object.entries(resolved)) {
    if (name === 'pollOnly') continue;
    checkDuration(name, value, MAY_BE_ZERO.includes(name) ? 0 : 1);
  }
  if (resolved.maxBackoffMs < resolved.backoffMs) {
    throw new ConfigurationError('listen options: maxBackoffMs is shorter than backoffMs');
  }
  return resolved;
}

/** Refuses what `setTimeout` would turn into "at once". @throws ConfigurationError */
export function checkDuration(name: string, value: unknown, least: number): void {
  if (typeof value === 'number' && value >= least && value <= 2 ** 31 - 1) return;
  throw new ConfigurationError(
    `${name}: ${String(value)} is not a number of milliseconds from ${least} to ${2 ** 31 - 1}`,
  );
}
