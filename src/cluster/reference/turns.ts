import type { Client } from 'pg';
import { TimeoutError } from '../../errors.ts';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { sleep } from '../../internal/sleep.ts';
import type { ResolvedReferenceOptions } from './options.ts';

/**
 * One at a time makes and ends copies: a second one would empty what the first one has just copied. Kept for the length of
 * the session, on a copy's server too: there it holds off the next one when this program dies in the middle of a statement.
 *
 * @throws TimeoutError
 */
export async function takeTurns(
  client: Client,
  server: string,
  { timeoutMs, signal }: ResolvedReferenceOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, 0) as taken', [
      ADVISORY_LOCK_CLASS.references,
    ]);
    if (rows[0]!.taken) return;
    if (performance.now() > deadline) {
      throw new TimeoutError(
        `${server}: somebody else has been making or ending copies of reference tables for ${timeoutMs} ms (option timeoutMs)`,
      );
    }
    await sleep(50, { signal, what: 'the turn for reference tables' });
  }
}
