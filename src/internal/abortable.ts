import { AbortedError } from '../errors.ts';
import { shareSignal } from './share-signal.ts';

/** Rejects as soon as the signal fires; what was sent goes on, and its outcome is dropped. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(new AbortedError(what, signal.reason));
    if (signal.aborted) onAbort();
    shareSignal(signal);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
