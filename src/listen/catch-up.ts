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
 * with a growing pause, since the backlog it did not read would otherwise stay unread until the next event; a request
 * ends that pause, because it comes from a session that has just been opened.
 */
export class CatchUp {
  readonly #run: (context: CatchUpContext) => unknown;
  readonly #onError: (error: unknown) => void;
  readonly #stop = new AbortController();
  #hurry = new AbortController();
  #wanted: CatchUpReason | undefined;
  #running = false;
  #task: Promise<void> = Promise.resolve();

  constructor(run: (context: CatchUpContext) => unknown, onError: (error: unknown) => void) {
    this.#run = run;
    this.#onError = onError;
  }

  request(reason: CatchUpReason): void {
    this.#wanted ??= reason;
    this.#hurry.abort();
    if (!this.#running) this.#task = this.#work();
  }

  /** Takes no more requests, and waits for the run in hand. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#hurry.abort();
    await this.#task;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff({ baseMs: 100, maxMs: 5_000 });
    this.#running = true;
    // Between the last look at what is wanted and the end of running nothing is awaited, so no request is lost.
    for (let reason = this.#take(); reason !== undefined && !signal.aborted; reason = this.#take()) {
      this.#hurry = new AbortController();
      try {
        await this.#run({ reason, signal });
        backoff.reset();
      } catch (error) {
        if (signal.aborted) break;
        this.#onError(error);
        this.#wanted ??= reason;
        await sleep(backoff.next(), { signal: this.#hurry.signal }).catch(() => backoff.reset());
      }
    }
    this.#running = false;
  }

  #take(): CatchUpReason | undefined {
    const reason = this.#wanted;
    this.#wanted = undefined;
    return reason;
  }
}
