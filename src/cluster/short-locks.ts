import type { Client } from 'pg';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';

/** Less than `deadlock_timeout` (1 s): whoever waits for us in a ring goes on, and we come again. */
const LOCK_MS = 100;
const AGAIN = new Set<string | undefined>([SQLSTATE.lockNotAvailable, SQLSTATE.deadlockDetected]);

/** Whether an error says that a lock was not to be had, and that the same may be tried again. */
export function wasInTheWay(error: unknown): boolean {
  return AGAIN.has(sqlStateOf(error));
}

/** How patiently {@link withShortLocks} tries. */
export interface ShortLockOptions {
  /** @default 100, which takes about a minute and a half */
  readonly tries?: number | undefined;
  /** What is waited for, for the error of an abort. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` in a transaction that waits for locks no longer than others can stand behind it, again and again until it
 * succeeds. It should take the locks of few tables: who needs those of many asks for them one by one.
 *
 * @throws what the last try threw
 */
export async function withShortLocks<T>(
  client: Client,
  work: () => Promise<T>,
  { tries = 100, what, signal }: ShortLockOptions,
): Promise<T> {
  const backoff = new Backoff({ baseMs: 50, maxMs: 1_000 });
  for (;;) {
    try {
      await client.query(`begin; set local lock_timeout to ${LOCK_MS}`);
      const result = await work();
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => {});
      if (!wasInTheWay(error) || backoff.failures + 1 >= tries) throw error;
      await sleep(backoff.next(), { signal, what });
    }
  }
}
