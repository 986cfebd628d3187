import { ClosedError } from '../../errors.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import type { Batch } from './batch.ts';

/**
 * Between the worker that reads and the worker that applies: a few batches at most, so that a slow target holds
 * back the reader instead of filling the memory.
 *
 * While the applier is busy the reader goes on compacting into its open batch; the moment the applier asks for more
 * it gets what is there. So batches are small (and fresh) when little happens and large when there is a backlog.
 */
export class BatchQueue {
  readonly #maxBatches: number;
  readonly #batches: Batch[] = [];
  #waiting: ((batch: Batch | Error) => void) | undefined;
  #closed: Error | undefined;
  /** Called when the applier asks and nothing is there: the reader may hand over what it has. */
  onWanted: () => void = () => {};
  /** Called when there is room again. */
  onRoom: () => void = () => {};

  constructor(maxBatches = 2) {
    this.#maxBatches = maxBatches;
  }

  /** Whether the applier stands idle. */
  get wanted(): boolean {
    return this.#waiting !== undefined;
  }

  get full(): boolean {
    return this.#batches.length >= this.#maxBatches;
  }

  get length(): number {
    return this.#batches.length;
  }

  push(batch: Batch): void {
    if (this.#closed !== undefined) return;
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#batches.push(batch);
      return;
    }
    this.#waiting = undefined;
    waiting(batch);
  }

  /** Waits for the next batch. */
  take({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Batch> {
    throwIfAborted(signal, 'waiting for changes');
    const next = this.#batches.shift();
    if (next !== undefined) {
      this.onRoom();
      return Promise.resolve(next);
    }
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = undefined;
        try {
          throwIfAborted(signal, 'waiting for changes');
        } catch (error) {
          reject(error);
        }
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting = (outcome) => {
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      this.onWanted();
    });
  }

  /** Wakes the applier with an error; what is queued is dropped. */
  close(reason: Error = new ClosedError('the reader has stopped')): void {
    this.#closed = reason;
    this.#batches.length = 0;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(reason);
  }
}
