import { Backoff } from '../internal/backoff.ts';
import type { Component, WakeReason } from './component.ts';
import { ComponentRunner, type ComponentStatus, type RunnerEnd } from './component-runner.ts';
import type { ErrorDecision } from './error-strategy.ts';
import { Mailbox } from './mailbox.ts';
import type { Notification } from './notification.ts';
import type { NotificationListener } from './notification-listener.ts';

export interface ProcessorsHooks {
  readonly epoch: () => bigint | undefined;
  readonly mayRun: () => boolean;
  readonly onError: (component: string, error: unknown, decision: ErrorDecision) => void;
  /** A processor stopped on an error that was not reckoned with. */
  readonly onUnexpected: (error: unknown) => void;
  /** A processor stopped on an error that was; it may be started again, see {@link Processors.restartInMs}. */
  readonly onFailed: () => void;
  readonly onPressure: (pressed: boolean) => void;
  readonly maxBackoffMs: number;
}

interface Entry {
  readonly runner: ComponentRunner;
  readonly channels: ReadonlySet<string> | undefined;
  /** How long a processor that stopped on an error is left alone, so that a lasting one makes no tight loop. */
  readonly backoff: Backoff;
  restartAt: number;
  runsAtFailure: number;
}

/** The processors of a supervisor: each with its mailbox and its runner, started and stopped together. */
export class Processors {
  readonly #hooks: ProcessorsHooks;
  readonly #payloadChannels = new Set<string>();
  readonly #entries: Entry[] = [];
  #pressing = 0;

  constructor(hooks: ProcessorsHooks) {
    this.#hooks = hooks;
  }

  get size(): number {
    return this.#entries.length;
  }

  get status(): ComponentStatus[] {
    return this.#entries.map(({ runner }) => runner.status);
  }

  /** When the next of those that stopped on an error may be started again; `undefined` when none did. */
  get restartInMs(): number | undefined {
    const times = this.#entries.filter(({ runner, restartAt }) => !runner.alive && restartAt > performance.now());
    if (times.length === 0) return undefined;
    return Math.min(...times.map(({ restartAt }) => restartAt)) - performance.now();
  }

  has(component: Component): boolean {
    return this.#entries.some(({ runner }) => runner.component === component);
  }

  /** @param channels wakes it only for these; all when left out */
  add(component: Component, channels: readonly string[] | undefined): void {
    const mailbox = new Mailbox((pressed) => this.#press(pressed));
    const backoff = new Backoff({ baseMs: 1_000, maxMs: this.#hooks.maxBackoffMs });
    const runner = new ComponentRunner(component, mailbox, {
      payloadChannels: this.#payloadChannels,
      epoch: this.#hooks.epoch,
      mayRun: this.#hooks.mayRun,
      maxBackoffMs: this.#hooks.maxBackoffMs,
      onError: (error, decision) => this.#hooks.onError(component.name, error, decision),
      onEnd: (end) => this.#ended(entry, end),
    });
    const entry: Entry = { runner, channels: channels && new Set(channels), backoff, restartAt: 0, runsAtFailure: 0 };
    this.#entries.push(entry);
  }

  /** Payloads of this channel are kept one by one. */
  keepPayloads(channel: string): void {
    this.#payloadChannels.add(channel);
  }

  notify(notification: Notification, listener: NotificationListener): void {
    for (const { runner } of this.#hearing(notification.channel)) runner.mailbox.notify(notification, listener);
  }

  fire(channel: string, reason: WakeReason): void {
    for (const { runner } of this.#hearing(channel)) runner.mailbox.fire(reason);
  }

  /** Starts those that do not run and are not left alone after an error. */
  start(): void {
    for (const { runner, restartAt } of this.#entries) if (performance.now() >= restartAt) runner.start();
  }

  /** Stops all at the same time; rejects with what did not stop. */
  async stop(graceMs: number): Promise<void> {
    const stops = await Promise.allSettled(this.#entries.map(({ runner }) => runner.stop(graceMs)));
    for (const stop of stops) if (stop.status === 'rejected') throw stop.reason;
  }

  abort(reason: Error): void {
    for (const { runner } of this.#entries) runner.abort(reason);
  }

  #hearing(channel: string): Entry[] {
    return this.#entries.filter(({ channels }) => channels === undefined || channels.has(channel));
  }

  #ended(entry: Entry, end: RunnerEnd): void {
    if (end.kind === 'stopped') return;
    if (!end.decision.handled) {
      this.#hooks.onUnexpected(end.error);
      return;
    }
    const { runs } = entry.runner.status;
    if (runs > entry.runsAtFailure) entry.backoff.reset();
    entry.runsAtFailure = runs;
    const delay = entry.backoff.next();
    entry.restartAt = performance.now() + delay;
    this.#hooks.onFailed();
  }

  #press(pressed: boolean): void {
    this.#pressing += pressed ? 1 : -1;
    if (pressed && this.#pressing === 1) this.#hooks.onPressure(true);
    if (!pressed && this.#pressing === 0) this.#hooks.onPressure(false);
  }
}
