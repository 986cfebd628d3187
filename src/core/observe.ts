import { channel } from 'node:diagnostics_channel';
import type { Logger } from './options.ts';

/** What is told of every statement; never its values, but for what an error of Postgres quotes of them. */
export interface StatementEvent {
  readonly server: string;
  readonly shardId: number;
  readonly text: string;
  /** From sending to the last reply, in ms. */
  readonly ms: number;
  readonly error: unknown;
}

/**
 * `diagnostics_channel` that gets a {@link StatementEvent} for each statement.
 *
 * @example
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe('pg-hypervault:statement', (event) => histogram.record(event.ms));
 * ```
 */
const statements = channel('pg-hypervault:statement');

/** Tells statements to the logger and to the diagnostics channel; costs nothing when neither is there. */
export class Observer {
  readonly #server: string;
  readonly #logger: Logger | undefined;

  constructor(server: string, logger: Logger | undefined) {
    this.#server = server;
    this.#logger = logger;
  }

  get active(): boolean {
    return this.#logger !== undefined || statements.hasSubscribers;
  }

  statement(shardId: number, text: string, ms: number, error: unknown): void {
    const event: StatementEvent = { server: this.#server, shardId, text, ms, error };
    statements.publish(event);
    this.#logger?.debug({ ...event, ms: Math.round(ms * 1000) / 1000 }, 'statement');
  }
}
