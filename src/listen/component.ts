import { CommonErrorStrategy, type ErrorStrategy } from './error-strategy.ts';
import { InvalidConfigurationError } from './errors.ts';
import type { Notification } from './notification.ts';

/** Why a processor runs: a notification came, or the backlog is to be read although none did. */
export type WakeReason = 'notification' | 'start' | 'reconnect' | 'poll' | 'overflow' | 'retry';

/** What {@link Component.execute} is told. */
export interface ExecuteContext {
  /** Fires when the component has to come to an end: the grace time is over, or the stop was forced. */
  readonly signal: AbortSignal;
  readonly reason: WakeReason;
  /**
   * With `payloads: true` every notification since the last run, in order of arrival. Else a burst is one wake-up,
   * and this holds the newest notification of each channel.
   */
  readonly notifications: readonly Notification[];
  /** The term of leadership in which this runs, when the supervisor elects a leader. */
  readonly epoch: bigint | undefined;
}

/** What the hooks around a component's life are told. */
export interface ComponentContext {
  readonly signal: AbortSignal;
}

export interface ComponentOptions {
  /** @default new CommonErrorStrategy() */
  readonly errorStrategy?: ErrorStrategy | undefined;
  /** Shown in states and errors. @default the class's name */
  readonly name?: string | undefined;
}

/**
 * Something a {@link Supervisor} keeps running: the hooks of one life, and of each run in it.
 *
 * `setUp → (wait → preExecute → execute → postExecute) … → tearDown`. After an error that is handled the next life
 * begins with `setUp`. Return values go on: what `preExecute` gives is the first argument of `execute`, what that gives
 * is the first of `postExecute`.
 *
 * @example
 * ```ts
 * class Mailer extends Component<Job[]> {
 *   override preExecute() { return this.#takeJobs(); }
 *   async execute(jobs: Job[], { signal }: ExecuteContext) { for (const job of jobs) await send(job, { signal }); }
 * }
 * ```
 */
// The value of preExecute is unknown unless a subclass says more; a subclass that has none takes it as it comes.
export abstract class Component<Pre = unknown, Result = unknown> {
  readonly errorStrategy: ErrorStrategy;
  readonly name: string;

  constructor({ errorStrategy = new CommonErrorStrategy(), name }: ComponentOptions = {}) {
    if (typeof errorStrategy?.handle !== 'function') {
      throw new InvalidConfigurationError('errorStrategy: give an object with a method handle(error)');
    }
    this.errorStrategy = errorStrategy;
    this.name = name ?? (new.target.name || 'component');
  }

  /** Begins a life: open what is needed. */
  setUp(_context: ComponentContext): Promise<void> | void {}

  preExecute(_context: ExecuteContext): Promise<Pre> | Pre {
    return undefined as Pre;
  }

  /** The work. It is never run twice at the same time. */
  abstract execute(pre: Pre, context: ExecuteContext): Promise<Result> | Result;

  postExecute(_result: Result, _context: ExecuteContext): Promise<void> | void {}

  /** Ends a life, also one that failed: close what `setUp` opened. */
  tearDown(_context: ComponentContext): Promise<void> | void {}
}
