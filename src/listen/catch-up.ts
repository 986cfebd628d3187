import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';

/** Why a backlog is to be read now. */
export type CatchUpReason = 'start' | 'reconnect' | 'poll' | 'overflow';

export interface CatchUpContext {
  readonly reason: CatchUpReason;
  readonly signal: AbortSignal;
}

/**
 * Runs a catch-up when one is asked for; requests during a run make one further run. A run that fails is repeated
 * with a growing pause, since the backlog it did not read would otherwise stay unread until the next event.
 */
export class CatchUp {
  readonly #run: (context: CatchUpContext) => unknown;
  readonly #onError: (error: unknown) => void;
  readonly #stop = new AbortController();
  #wanted: CatchUpReason | undefined;
  #task: Promise<void> | undefined;

  constructor(run: (context: CatchUpContext) => unknown, onError: (error: unknown) => void) {
    this.#run = run;
    this.#onError = onError;
  }

  request(reason: CatchUpReason): void {
    this.#wanted ??= reason;
    this.#task ??= this.#work().finally(() => {
      this.#task = undefined;
    });
  }

  /** Takes no more requests, and waits for the run in hand. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#task;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff({ baseMs: 100, maxMs: 5_000 });
    for (let reason = this.#take(); reason !== undefined && !signal.aborted; reason = this.#take()) {
      try {
        await this.#run({ reason, signal });
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        this.#onError(error);
        this.#wanted ??= reason;
        await sleep(backoff.next(), { signal }).catch(() => {});
      }
    }
  }

  #take(): CatchUpReason | undefined {
    const reason = this.#wanted;
    this.#wanted = undefined;
    return reason;
  }
}
