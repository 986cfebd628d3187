import { AbortedError } from '../errors.ts';

export interface UntilOptions {
  /** Called with a function to be called whenever something changed; returns how to stop that. */
  readonly onChange: (check: () => void) => () => void;
  /** Whether it is so; throws when it never will be. */
  readonly reached: () => boolean;
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** Waits until something is so. Rejects with what `reached` throws, or AbortedError. */
export function until({ onChange, reached, what, signal }: UntilOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError(what, signal.reason));
    const settle = (end: () => void): void => {
      stop();
      signal?.removeEventListener('abort', onAbort);
      end();
    };
    const onAbort = (): void => settle(() => reject(new AbortedError(what, signal?.reason)));
    const check = (): void => {
      try {
        if (reached()) settle(resolve);
      } catch (error) {
        settle(() => reject(error));
      }
    };
    const stop = onChange(check);
    signal?.addEventListener('abort', onAbort, { once: true });
    check();
  });
}
