import { AbortedError } from '../errors.ts';
import { shareSignal } from './share-signal.ts';

/** Throws {@link AbortedError} when the signal has fired already. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new AbortedError(what, signal.reason);
}

/**
 * Waits `ms` milliseconds, or until the signal fires (then it rejects with {@link AbortedError}).
 * The timer never keeps the process alive when `unref` is set.
 */
export function sleep(
  ms: number,
  {
    signal,
    what = 'waiting',
    unref = false,
  }: { signal?: AbortSignal | undefined; what?: string; unref?: boolean } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError(what, signal.reason));
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new AbortedError(what, signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    if (unref) timer.unref();
    shareSignal(signal);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
