import type pg from 'pg';
import { HypervaultError } from '../../errors.ts';
import { Backoff } from '../backoff.ts';
import { abandonClient } from '../client-guard.ts';
import { shareSignal } from '../share-signal.ts';
import { sleep, throwIfAborted } from '../sleep.ts';

/**
 * Does `work` again while it fails with a retryable error, until `waitMs` have passed; then the last failure is thrown,
 * so that the caller reads why, not only that the time was up.
 */
export async function retryWithin<T>(
  waitMs: number,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  const backoff = new Backoff({ baseMs: 25, maxMs: 500 });
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const left = deadline - performance.now();
      if (left <= 0 || !(error instanceof HypervaultError && error.retryable)) throw error;
      await sleep(Math.min(left, backoff.next()), { signal, what: 'waiting for the server' });
    }
  }
}

/** A timer later than this found the event loop blocked: the reply may be in the socket already, unread. */
const LATE_MS = 50;

/**
 * Bounds work on a session from this side: past the limit, or when the signal fires, the session is cut and its statement
 * given up, which fails the work.
 *
 * @param limitMs - `undefined` sets no limit
 */
export async function withinLimit<T>(
  client: pg.Client,
  limitMs: number | undefined,
  work: () => Promise<T>,
  signal?: AbortSignal | undefined,
): Promise<T> {
  throwIfAborted(signal, 'work on a session');
  const cut = (why: string, code: string): void =>
    abandonClient(client, Object.assign(new Error(`Connection terminated: ${why}`), { code }));
  const onLimit = (): void => cut(`no reply within ${limitMs} ms`, 'ETIMEDOUT');
  const onAbort = (): void => cut('its work was aborted', 'ECONNABORTED');
  let timer: NodeJS.Timeout | undefined;
  if (limitMs !== undefined) {
    const due = performance.now() + limitMs;
    timer = setTimeout(() => {
      if (performance.now() - due < LATE_MS) onLimit();
      else timer = setTimeout(onLimit, LATE_MS);
    }, limitMs);
  }
  shareSignal(signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await work();
  } catch (error) {
    throwIfAborted(signal, 'work on a session');
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
