import type pg from 'pg';
import { HypervaultError } from '../../errors.ts';
import { Backoff } from '../backoff.ts';
import { destroyClient } from '../client-guard.ts';
import { sleep } from '../sleep.ts';

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

/** Bounds work on a session from this side: past the limit the socket is destroyed, which fails the work. */
export async function withinLimit<T>(client: pg.Client, limitMs: number, work: () => Promise<T>): Promise<T> {
  const onLimit = (): void => {
    const error = new Error(`Connection terminated: no reply within ${limitMs} ms`);
    destroyClient(client, Object.assign(error, { code: 'ETIMEDOUT' }));
  };
  const due = performance.now() + limitMs;
  let timer = setTimeout(() => {
    if (performance.now() - due < LATE_MS) onLimit();
    else timer = setTimeout(onLimit, LATE_MS);
  }, limitMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
