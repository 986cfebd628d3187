import { Component, type ComponentOptions, type ExecuteContext } from './component.ts';
import { InvalidConfigurationError } from './errors.ts';
import { NotificationListener, type NotificationListenerOptions } from './notification-listener.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorOptions } from './supervisor-options.ts';

/** One channel and the work it wakes; see {@link listen}. */
export interface ListenOptions extends NotificationListenerOptions, SupervisorOptions {
  readonly execute: (context: ExecuteContext) => unknown;
  readonly errorStrategy?: ComponentOptions['errorStrategy'];
}

class FunctionProcessor extends Component {
  readonly #execute: (context: ExecuteContext) => unknown;

  constructor(execute: (context: ExecuteContext) => unknown, options: ComponentOptions) {
    super(options);
    this.#execute = execute;
  }

  override execute(_pre: unknown, context: ExecuteContext): unknown {
    return this.#execute(context);
  }
}

/**
 * A started {@link Supervisor} with one listener and one function as its processor.
 *
 * @example
 * ```ts
 * const supervisor = await listen({ connection, channel: 'jobs', execute: ({ signal }) => workOffJobs(signal) });
 * // …
 * await supervisor.terminate();
 * ```
 */
export async function listen(options: ListenOptions): Promise<Supervisor> {
  const { execute, errorStrategy, channel, fireOnStart, payloads, maxBuffered, overflow, ...rest } = options;
  if (typeof execute !== 'function') throw new InvalidConfigurationError('execute: give a function');
  const supervisor = new Supervisor(rest);
  supervisor.addListener(new NotificationListener({ channel, fireOnStart, payloads, maxBuffered, overflow }));
  supervisor.addProcessor(new FunctionProcessor(execute, { errorStrategy, name: `execute(${channel})` }));
  await supervisor.start();
  return supervisor;
}
