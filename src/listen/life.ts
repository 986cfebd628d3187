import { ClosedError } from '../errors.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import type { ListenState, StateChange } from './state.ts';
import { until } from './until.ts';

/** The states of a supervisor from its making to its end, and what ended it. */
export class Life extends TypedEmitter<{ state: StateChange }> {
  #state: ListenState = 'stopped';
  #reason = 'not started';
  #since = new Date();
  #over = false;
  #failure: { readonly error: unknown } | undefined;

  get state(): ListenState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  get since(): Date {
    return this.#since;
  }

  /** The same state with another reason is no change, and is not told. */
  change(to: ListenState, reason: string, more: { error?: unknown; nextRetryAt?: Date | undefined } = {}): void {
    const from = this.#state;
    this.#reason = reason;
    if (from === to && !this.#over) return;
    this.#state = to;
    this.#since = new Date();
    this.emit('state', { from, to, reason, ...more });
  }

  /** Notes what is going to end it; the first counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  end(reason: string): void {
    this.#over = true;
    this.change('stopped', reason, this.#failure);
  }

  /** Waits for a state. @throws what ended it before that, AbortedError */
  async reached(state: ListenState, signal: AbortSignal | undefined): Promise<void> {
    await this.#until(() => {
      if (this.#over) throw this.#failure?.error ?? new ClosedError(`the supervisor stopped: ${this.#reason}`);
      return this.#state === state;
    }, signal);
  }

  /** Waits for the end. @throws what ended it, when that was an error; AbortedError */
  async ended(signal: AbortSignal | undefined): Promise<void> {
    await this.#until(() => this.#over, signal);
    if (this.#failure) throw this.#failure.error;
  }

  #until(reached: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    return until({
      onChange: (check) => {
        this.on('state', check);
        return () => this.off('state', check);
      },
      reached,
      what: 'waiting for the supervisor',
      signal,
    });
  }
}
