import { TimeoutError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import type { Component, ExecuteContext } from './component.ts';
import type { ErrorDecision } from './error-strategy.ts';
import type { Mailbox, WakeUp } from './mailbox.ts';

/** How the life of a component came to an end. */
export type RunnerEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: unknown; readonly decision: ErrorDecision };

export interface RunnerHooks {
  /** Payloads of these channels are given to the component again when its run failed. */
  readonly payloadChannels: ReadonlySet<string>;
  readonly epoch: () => bigint | undefined;
  /** Whether runs may begin: not when another process leads by now, though nobody has told yet. */
  readonly mayRun: () => boolean;
  /** An error and what was decided about it, for logs. */
  readonly onError: (error: unknown, decision: ErrorDecision) => void;
  /** Called when the component ended by itself, not by {@link ComponentRunner.stop}. */
  readonly onEnd: (end: RunnerEnd) => void;
  readonly maxBackoffMs: number;
}

/** How long a component may still run after its signal has fired. */
const AFTER_ABORT_MS = 5_000;
/** How soon a run that may not begin is thought of again. */
const LOOK_AGAIN_MS = 50;
/** Failures in a row after which `continue` means after a pause all the same, so that nothing loops at full speed. */
const CONTINUE_AT_ONCE = 5;

export interface ComponentStatus {
  readonly name: string;
  readonly alive: boolean;
  /** Runs of `execute` that came to their end. */
  readonly runs: number;
  /** How often it was set up. */
  readonly lives: number;
  /** Since when `execute` runs, while it does. */
  readonly busySince: Date | undefined;
  /** Payloads that wait for it. */
  readonly waiting: number;
  /** Payloads it did not get, by its listeners' overflow policy. */
  readonly dropped: number;
  readonly lastError: unknown;
}

/**
 * Runs one component: life after life, until it is stopped or its strategy ends it.
 *
 * 1. `execute` never runs twice at the same time, not even over a stop and a start.
 * 2. `tearDown` follows every `setUp`, also one that failed.
 * 3. A stop lets the running `execute` finish; its signal fires only after the grace time.
 */
export class ComponentRunner {
  readonly component: Component;
  readonly mailbox: Mailbox;
  readonly #hooks: RunnerHooks;
  #stop = new AbortController();
  #abort = new AbortController();
  #task: Promise<void> | undefined;
  #runs = 0;
  #lives = 0;
  #busySince: Date | undefined;
  #lastError: unknown;

  constructor(component: Component, mailbox: Mailbox, hooks: RunnerHooks) {
    this.component = component;
    this.mailbox = mailbox;
    this.#hooks = hooks;
  }

  /** Whether it has been started and has not come to its end. */
  get alive(): boolean {
    return this.#task !== undefined;
  }

  get status(): ComponentStatus {
    return {
      name: this.component.name,
      alive: this.alive,
      runs: this.#runs,
      lives: this.#lives,
      busySince: this.#busySince,
      waiting: this.mailbox.waiting,
      dropped: this.mailbox.dropped,
      lastError: this.#lastError,
    };
  }

  start(): void {
    if (this.#task !== undefined) return;
    this.#stop = new AbortController();
    this.#abort = new AbortController();
    this.#task = this.#run().then((end) => {
      this.#task = undefined;
      if (end.kind === 'failed') this.#hooks.onEnd(end);
    });
  }

  /**
   * Lets the run in hand finish, within `graceMs`; then its signal fires.
   *
   * @throws TimeoutError when it goes on all the same; it is left behind and not started again before its end
   */
  async stop(graceMs: number): Promise<void> {
    const task = this.#task;
    if (task === undefined) return;
    this.#stop.abort();
    const grace = setTimeout(() => this.abort(new Error(`the grace time of ${graceMs} ms is over`)), graceMs);
    try {
      await Promise.race([task, this.#stuck()]);
    } finally {
      clearTimeout(grace);
    }
  }

  /** Fires the signal of the run in hand now. */
  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  async #run(): Promise<RunnerEnd> {
    const { signal } = this.#stop;
    const backoff = new Backoff({ baseMs: 1_000, maxMs: this.#hooks.maxBackoffMs });
    const hurry = new Backoff({ baseMs: 10, maxMs: 1_000 });
    for (let failures = 1; !signal.aborted; failures += 1) {
      const runsBefore = this.#runs;
      const failure = await this.#live();
      if (failure === undefined) break;
      if (this.#runs > runsBefore) {
        failures = 1;
        backoff.reset();
        hurry.reset();
      }
      const { error, wakeUp } = failure;
      this.#lastError = error;
      const decision = this.#decide(error);
      this.#hooks.onError(error, decision);
      if (decision.action === 'continue') this.mailbox.fire('retry');
      else if (wakeUp) this.mailbox.putBack(wakeUp, this.#hooks.payloadChannels);
      if (decision.action === 'terminate') return { kind: 'failed', error, decision };
      const pause = decision.action === 'backoff' ? backoff.next() : failures > CONTINUE_AT_ONCE ? hurry.next() : 0;
      await sleep(pause, { signal }).catch(() => {});
    }
    return { kind: 'stopped' };
  }

  /** One life; resolves with what ended it, or with nothing when it was stopped. */
  async #live(): Promise<{ error: unknown; wakeUp: WakeUp | undefined } | undefined> {
    const { component } = this;
    const signal = this.#abort.signal;
    let wakeUp: WakeUp | undefined;
    this.#lives += 1;
    try {
      await component.setUp({ signal });
      while (!this.#stop.signal.aborted) {
        wakeUp = await this.mailbox.next(this.#stop.signal);
        if (wakeUp === undefined) break;
        if (!this.#hooks.mayRun()) {
          // A process that was paused hears what came meanwhile before its clock tells it that its term is over.
          this.mailbox.putBack(wakeUp, this.#hooks.payloadChannels);
          wakeUp = undefined;
          await sleep(LOOK_AGAIN_MS, { signal: this.#stop.signal }).catch(() => {});
          continue;
        }
        await this.#execute({ ...wakeUp, signal, epoch: this.#hooks.epoch() });
        wakeUp = undefined;
      }
      return undefined;
    } catch (error) {
      return { error, wakeUp };
    } finally {
      this.#busySince = undefined;
      await this.#tearDown(signal);
    }
  }

  async #execute(context: ExecuteContext): Promise<void> {
    const { component } = this;
    this.#busySince = new Date();
    const pre = await component.preExecute(context);
    const result = await component.execute(pre, context);
    await component.postExecute(result, context);
    this.#busySince = undefined;
    this.#runs += 1;
  }

  async #tearDown(signal: AbortSignal): Promise<void> {
    try {
      await this.component.tearDown({ signal });
    } catch (error) {
      // The life is over either way; what failed in it before must not be hidden by this.
      this.#hooks.onError(error, { handled: true, action: 'continue', message: 'tearDown failed' });
    }
  }

  #decide(error: unknown): ErrorDecision {
    if (this.#abort.signal.aborted) return { handled: true, action: 'continue', message: 'stopped by its signal' };
    try {
      return this.component.errorStrategy.handle(error);
    } catch (strategyError) {
      return { handled: false, action: 'terminate', message: `its error strategy failed: ${String(strategyError)}` };
    }
  }

  #stuck(): Promise<never> {
    return new Promise((_, reject) => {
      const onAbort = (): void => {
        setTimeout(() => {
          const what = `${this.component.name} still runs ${AFTER_ABORT_MS} ms after its signal has fired`;
          reject(new TimeoutError(`${what}; let execute() end when its signal fires`));
        }, AFTER_ABORT_MS).unref();
      };
      if (this.#abort.signal.aborted) onAbort();
      else this.#abort.signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
