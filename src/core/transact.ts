import { InvalidArgumentError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import type { Cursor, TransactionOptions } from './cursor.ts';
import { ShardMovedError } from './errors.ts';

const AGAIN = new Set<string | undefined>([SQLSTATE.serializationFailure, SQLSTATE.deadlockDetected]);

/** Runs a transaction, and again when the server asks for it, up to a bound and with growing pauses. */
export async function transact<T>(
  lend: (run: (cursor: Cursor) => Promise<T>) => Promise<T>,
  fn: (cursor: Cursor) => Promise<T>,
  {
    maxRetries = 3,
    signal,
    isolation,
    readOnly,
  }: TransactionOptions & { maxRetries?: number | undefined; signal?: AbortSignal | undefined },
): Promise<T> {
  if (!Number.isInteger(maxRetries) || maxRetries < 0) {
    throw new InvalidArgumentError(`maxRetries must be a whole number of at least 0, not ${maxRetries}`);
  }
  const backoff = new Backoff({ baseMs: 5, maxMs: 500 });
  for (;;) {
    try {
      return await lend((cursor) => cursor.transaction(fn, { isolation, readOnly }));
    } catch (error) {
      const again = AGAIN.has(sqlStateOf(error)) || error instanceof ShardMovedError;
      if (!again || backoff.failures >= maxRetries) throw error;
      await sleep(backoff.next(), { signal, what: 'a transaction that is tried again' });
    }
  }
}
