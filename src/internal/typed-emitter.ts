import { EventEmitter } from 'node:events';

/** Event names mapped to the one argument each event carries. */
export type EventMap = Record<string, unknown>;

/**
 * An EventEmitter whose events are typed, each with exactly one argument.
 * A listener that throws is the listener's problem: the error is re-thrown on the next tick,
 * so that it can't tear down the loop that emitted.
 */
export class TypedEmitter<Events extends EventMap> {
  readonly #emitter = new EventEmitter();

  constructor() {
    // Observers are as many as the program has parts that look; nobody but us could raise Node's limit of ten.
    this.#emitter.setMaxListeners(0);
  }

  on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): this {
    this.#emitter.on(name, listener);
    return this;
  }

  once<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): this {
    this.#emitter.once(name, listener);
    return this;
  }

  off<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): this {
    this.#emitter.off(name, listener);
    return this;
  }

  listenerCount(name: keyof Events & string): number {
    return this.#emitter.listenerCount(name);
  }

  /** @internal */
  protected emit<Name extends keyof Events & string>(name: Name, event: Events[Name]): void {
    for (const listener of this.#emitter.rawListeners(name)) {
      try {
        listener.call(this, event);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
