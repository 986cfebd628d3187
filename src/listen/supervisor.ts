import { ClosedError, SchemaError } from '../errors.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { Releasers } from '../internal/releasers.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import { Alarm } from './alarm.ts';
import { Component } from './component.ts';
import type { ErrorDecision } from './error-strategy.ts';
import { InvalidConfigurationError, LeaseLostError } from './errors.ts';
import { FileWatch } from './file-watch.ts';
import { fitRole, HubNews } from './fit-role.ts';
import { NotificationHub } from './hub.ts';
import { LeaderLease } from './leader-lease.ts';
import { Life } from './life.ts';
import { Listeners } from './listeners.ts';
import { NotificationListener } from './notification-listener.ts';
import { handleProcessSignals } from './process-signals.ts';
import { Processors } from './processors.ts';
import { recheck } from './recheck.ts';
import { RoleProcedure } from './role-procedure.ts';
import type { ListenState, StateChange } from './state.ts';
import {
  type ResolvedSupervisorOptions,
  resolveSupervisorOptions,
  type SupervisorOptions,
} from './supervisor-options.ts';
import { type SupervisorEvents, type SupervisorStatus, statusOf } from './supervisor-status.ts';

const CONTINUES: ErrorDecision = { handled: true, action: 'continue' };

/**
 * Keeps processors running on the primary, woken by notifications, through lost sessions, restarts and failovers.
 *
 * 1. Processors run only while the server is a primary (and we lead, when a leader is elected).
 * 2. To begin: processors first, then listeners. To end: listeners first, then processors, whose run in hand finishes.
 * 3. All changes go through one {@link RoleProcedure}; whoever asks for one, they never overlap.
 *
 * @example
 * ```ts
 * const supervisor = new Supervisor({ connection: { hosts: ['db1', 'db2'], database: 'app', user: 'app' } });
 * supervisor.addListener(new NotificationListener({ channel: 'jobs' }));
 * supervisor.addProcessor(new Mailer());
 * await supervisor.start();
 * ```
 */
export class Supervisor extends TypedEmitter<SupervisorEvents> {
  readonly #options: ResolvedSupervisorOptions;
  readonly #endpoint: Endpoint;
  readonly #hub: NotificationHub;
  readonly #processors: Processors;
  readonly #listeners: Listeners;
  readonly #lease: LeaderLease | undefined;
  readonly #watch: FileWatch | undefined;
  readonly #role = new RoleProcedure(() => this.#fitRole());
  readonly #news = new HubNews();
  readonly #life = new Life();
  readonly #lookAgain = new Alarm(() => void this.#lookAtProcessors());
  #started = false;
  #ending: Promise<void> | undefined;
  #releaseSignals = (): void => {};

  /** @throws InvalidConfigurationError, ConfigurationError; does no I/O */
  constructor(options: SupervisorOptions) {
    super();
    this.#options = resolveSupervisorOptions(options);
    const { connection, hub, watch, leader } = this.#options;
    this.#endpoint = new Endpoint(connection);
    this.#hub = new NotificationHub(this.#endpoint, hub);
    this.#lease = leader && new LeaderLease(this.#endpoint, { ...leader, hub: this.#hub });
    this.#watch = watch && new FileWatch(watch.path, watch.files, () => this.#onFileEvent());
    this.#processors = new Processors({
      epoch: () => this.#lease?.epoch,
      mayRun: () => this.#lease === undefined || this.#lease.leading,
      onError: (component, error, decision) => this.#tell(component, error, decision),
      onUnexpected: (error) => this.#fail(error),
      onFailed: () => this.#lookAgain.within(this.#processors.restartInMs),
      onPressure: (pressed) => this.#hub.pause(pressed),
      maxBackoffMs: hub.maxBackoffMs,
    });
    this.#listeners = new Listeners(this.#hub, this.#endpoint, this.#processors, (error) =>
      this.#tell('listener', error, CONTINUES),
    );
    this.#life.on('state', (change) => {
      const { from, to, reason } = change;
      this.#options.logger?.warn({ from, to, reason }, 'supervisor state');
      this.emit('state', change);
    });
    this.#hub.on('state', (change) => this.#onHubState(change));
    this.#hub.on('error', ({ channel, error }) => this.#tell(channel, error, CONTINUES));
    this.#lease?.on('elected', () => void this.#role.request());
    this.#lease?.on('deposed', ({ epoch }) => {
      this.#processors.abort(new LeaseLostError(this.#lease?.name ?? '', epoch));
      void this.#role.request();
    });
    this.#lease?.on('error', (error) => this.#tell('leader', error, CONTINUES));
  }

  get #isEnding(): boolean {
    return this.#ending !== undefined;
  }

  get state(): ListenState {
    return this.#life.state;
  }

  /** @throws InvalidConfigurationError when it is no {@link NotificationListener}, or after the start */
  addListener(listener: NotificationListener): this {
    this.#refuseAfterStart();
    if (!(listener instanceof NotificationListener)) {
      throw new InvalidConfigurationError('addListener: give a NotificationListener');
    }
    this.#listeners.add(listener);
    return this;
  }

  /**
   * @param channels wakes it only for these channels
   * @throws InvalidConfigurationError when it is no {@link Component} with an execute method, or after the start
   */
  addProcessor(processor: Component, { channels }: { channels?: readonly string[] } = {}): this {
    this.#refuseAfterStart();
    if (!(processor instanceof Component) || typeof processor.execute !== 'function') {
      throw new InvalidConfigurationError('addProcessor: give a Component with a method execute');
    }
    if (this.#processors.has(processor)) throw new InvalidConfigurationError('addProcessor: it was added before');
    this.#processors.add(processor, channels);
    return this;
  }

  /**
   * Begins. Resolves at once, also while the server is down; with `waitFor: 'listening'` when it listens.
   *
   * @throws InvalidConfigurationError when a listener or a processor is missing, or `watchPath` can't be watched;
   *   with `waitFor` also what stopped it, SchemaError when a leader is to be elected and the leases are not installed,
   *   and AbortedError
   */
  async start({ waitFor, signal }: { waitFor?: 'listening'; signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#refuseAfterStart();
    if (this.#processors.size === 0) throw new InvalidConfigurationError('there is no processor; call addProcessor');
    if (this.#listeners.size === 0) throw new InvalidConfigurationError('there is no listener; call addListener');
    this.#watch?.start();
    this.#started = true;
    if (this.#options.signals) {
      this.#releaseSignals = handleProcessSignals({
        onFirst: (name) => void this.#end(`received ${name}`, this.#options.graceMs),
        onSecond: (name) => this.#processors.abort(new Error(`received ${name} twice`)),
      });
    }
    // Whoever waits for it would wait for ever: nobody can lead.
    const onError = (error: unknown): void => {
      if (error instanceof SchemaError) this.#fail(error);
    };
    if (waitFor !== undefined) this.#lease?.on('error', onError);
    this.#hub.open();
    this.#lease?.start();
    if (waitFor !== undefined)
      await this.#life.reached(waitFor, signal).finally(() => this.#lease?.off('error', onError));
  }

  /** Looks at the server's role now and starts or stops accordingly; resolves when that is done. */
  async executeRoleBasedProcedure(): Promise<void> {
    if (!this.#started || this.#isEnding) return;
    await this.#hub.check();
    await this.#role.request();
  }

  /** Ends gracefully: listeners, then processors, whose run in hand finishes within the grace time. Idempotent. */
  async terminate({ graceMs = this.#options.graceMs }: { graceMs?: number } = {}): Promise<void> {
    await this.#end('terminated', graceMs);
  }

  /** Waits for the end. @throws what ended it, when that was an error; AbortedError */
  async join({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#life.ended(signal);
  }

  status(): SupervisorStatus {
    return statusOf(this.#hub, this.#life, this.#listeners, this.#processors, this.#lease);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  /** The role procedure. */
  async #fitRole(): Promise<void> {
    if (this.#isEnding) return;
    try {
      await fitRole({
        hub: this.#hub,
        news: this.#news,
        lease: this.#lease,
        processors: this.#processors,
        listeners: this.#listeners,
        life: this.#life,
        graceMs: this.#options.graceMs,
      });
    } catch (error) {
      this.#tell('supervisor', error, CONTINUES);
      this.#lookAgain.within(1_000);
    }
  }

  #onHubState(change: StateChange): void {
    this.#news.take(change);
    const { to, error, reason } = change;
    if (to === 'stopped' && !this.#isEnding) this.#fail(error ?? new ClosedError(reason));
    void this.#role.request();
  }

  /** A file of a failover came or went. */
  #onFileEvent(): void {
    const before = this.#hub.state;
    void recheck(
      () => this.executeRoleBasedProcedure(),
      () => this.#isEnding || this.#hub.state !== before,
    );
  }

  /** Starts those that have waited long enough after an error; others may have to wait for longer. */
  async #lookAtProcessors(): Promise<void> {
    await this.executeRoleBasedProcedure();
    if (!this.#isEnding) this.#lookAgain.within(this.#processors.restartInMs);
  }

  #fail(error: unknown): void {
    this.#life.fail(error);
    void this.#end(`stopped by an error: ${error instanceof Error ? error.message : String(error)}`, 0);
  }

  #end(reason: string, graceMs: number): Promise<void> {
    this.#ending ??= this.#shutDown(reason, graceMs);
    return this.#ending;
  }

  async #shutDown(reason: string, graceMs: number): Promise<void> {
    this.#lookAgain.clear();
    this.#watch?.close();
    const steps = new Releasers();
    steps.add(() => this.#endpoint.close());
    steps.add(() => this.#hub.close());
    steps.add(() => this.#lease?.close());
    steps.add(() => this.#processors.stop(graceMs));
    steps.add(() => this.#listeners.close());
    await steps.release().catch((error) => this.#tell('supervisor', error, CONTINUES));
    this.#releaseSignals();
    const exitCode = this.#options.signals?.exitCode;
    if (exitCode !== undefined) process.exitCode = exitCode;
    this.#life.end(reason);
  }

  #tell(component: string, error: unknown, decision: ErrorDecision): void {
    this.#options.logger?.warn({ component, error, ...decision }, 'supervisor error');
    this.emit('error', { component, error, decision });
  }

  #refuseAfterStart(): void {
    if (this.#isEnding) throw new ClosedError('the supervisor was terminated; make a new one');
    if (this.#started) throw new InvalidConfigurationError('the supervisor was started already');
  }
}
