import { AbortedError } from '../errors.ts';

/**
 * "Look again": remembers that something happened until somebody looks, so that no hint is lost
 * between looking and beginning to wait.
 */
export class WakeUp {
  #rung = false;
  #waiter: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#waiter?.();
  }

  /** Resolves at once when it rang since the last wait, else at the next ring, else after `timeoutMs`, if given. */
  async wait(timeoutMs: number | undefined, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw new AbortedError('waiting for a change', signal.reason);
    if (!this.#rung) {
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => {
          finish();
          reject(new AbortedError('waiting for a change', signal?.reason));
        };
        const finish = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          this.#waiter = undefined;
          resolve();
        };
        const timer = timeoutMs === undefined ? undefined : setTimeout(finish, timeoutMs);
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiter = finish;
      });
    }
    this.#rung = false;
  }
}
