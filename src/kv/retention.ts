import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { KvDatabase } from './kv-database.ts';
import { STATEMENTS } from './statements.ts';

/** Which old versions are forgotten: those that one of the two bounds lets go of. The newest version always stays. */
export interface Retention {
  /** Versions kept of each key, the newest included. @default all */
  readonly maxVersions?: number | undefined;
  /** How long a version is kept after the next one took its place, by the time that one bears. @default for ever */
  readonly maxAgeMs?: number | undefined;
  /** Nothing goes that was replaced so recently, so that a watch cut off for less misses nothing. @default 3600000 */
  readonly spareMs?: number | undefined;
}

const KEYS = ['maxVersions', 'maxAgeMs', 'spareMs'] as const satisfies readonly (keyof Retention)[];

/** Rows of one transaction: other writers wait for it. */
const MAX_GONE = 10_000;

/** @throws ConfigurationError naming the option */
export function checkRetention(retention: Retention, where: string): void {
  assertKnownKeys(retention, KEYS, where);
  const { maxVersions, maxAgeMs, spareMs } = retention;
  if (maxVersions === undefined && maxAgeMs === undefined) {
    throw new ConfigurationError(`${where}: give maxVersions, maxAgeMs or both`);
  }
  if (maxVersions !== undefined && !(Number.isInteger(maxVersions) && maxVersions > 0 && maxVersions < 2 ** 31)) {
    throw new ConfigurationError(`${where}: maxVersions must be a whole number of at least 1`);
  }
  for (const [name, value] of Object.entries({ maxAgeMs, spareMs })) {
    if (value !== undefined && !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) {
      throw new ConfigurationError(`${where}: ${name} must be a number of at least 0`);
    }
  }
}

/**
 * Forgets what a retention lets go of, some at a time.
 *
 * @returns how many versions went; in a dry run, how many would go
 */
export async function retain(
  database: KvDatabase,
  namespace: string,
  { maxVersions, maxAgeMs, spareMs = 3_600_000 }: Retention,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal | undefined },
): Promise<number> {
  const now = Date.now();
  const before = maxAgeMs === undefined ? null : agoOf(now, maxAgeMs);
  const atOnce = dryRun ? 2 ** 31 - 1 : MAX_GONE;
  let gone = 0;
  for (;;) {
    const values = [namespace, maxVersions ?? null, before, agoOf(now, spareMs), atOnce, dryRun];
    const [row] = await database.query<{ gone: number }>(STATEMENTS.retain, values, { signal, writes: !dryRun });
    gone += row!.gone;
    if (dryRun || row!.gone < atOnce) return gone;
  }
}

/** No earlier than the first time that a commit can bear. */
function agoOf(now: number, ms: number): string {
  return new Date(Math.max(now - ms, Date.UTC(1970, 0, 1) - 1.9e12)).toISOString();
}
