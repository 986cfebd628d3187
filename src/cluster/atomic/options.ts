import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { InDoubt } from './recover.ts';

/** Where an atomic write is: for whoever traces it, and for tests that kill it there. */
export type AtomicStep = 'begun' | 'worked' | 'prepared' | 'deciding' | 'decided' | 'committed' | 'finished';

/** How atomic writes are made. */
export interface AtomicOptions {
  /** Longest wait for one lock: servers can't see a deadlock over several of them. @default 2000 */
  readonly lockTimeoutMs?: number | undefined;
  /** Longest time in which an open transaction hears nothing from its writer: then its server ends it. @default 10000 */
  readonly idleTimeoutMs?: number | undefined;
  /** How long a write is tried again that met a lock, a serialization failure or a shard on the move. @default 5000 */
  readonly retryForMs?: number | undefined;
  /** What others have left prepared is looked for so often; 0 for never. @default 5000 */
  readonly recoverEveryMs?: number | undefined;
  /** From this age on it is taken for left. @default 2000 */
  readonly recoverAfterMs?: number | undefined;
  /** Hears of every part that was found, also of those that could not be ended. */
  readonly onRecovery?: ((parts: readonly InDoubt[]) => void) | undefined;
  /** Hears of each step, and is waited for. */
  readonly onStep?: ((step: AtomicStep, shardId: number) => void | Promise<void>) | undefined;
}

export const ATOMIC_DEFAULTS = {
  lockTimeoutMs: 2_000,
  idleTimeoutMs: 10_000,
  retryForMs: 5_000,
  recoverEveryMs: 5_000,
  recoverAfterMs: 2_000,
} as const;

export type ResolvedAtomicOptions = {
  readonly [Name in keyof typeof ATOMIC_DEFAULTS]: number;
} & Pick<AtomicOptions, 'onRecovery' | 'onStep'>;

/** @throws ConfigurationError */
export function resolveAtomicOptions(options: AtomicOptions = {}): ResolvedAtomicOptions {
  assertKnownKeys(options, [...Object.keys(ATOMIC_DEFAULTS), 'onRecovery', 'onStep'], 'atomicWrites');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedAtomicOptions = { ...ATOMIC_DEFAULTS, ...given };
  for (const name of Object.keys(ATOMIC_DEFAULTS) as (keyof typeof ATOMIC_DEFAULTS)[]) {
    const least = name === 'lockTimeoutMs' || name === 'idleTimeoutMs' ? 1 : 0;
    if (!Number.isSafeInteger(resolved[name]) || resolved[name] < least || resolved[name] > 2 ** 31 - 1) {
      throw new ConfigurationError(
        `atomicWrites: ${name} must be a whole number of at least ${least} ms, not ${resolved[name]}`,
      );
    }
  }
  return resolved;
}
