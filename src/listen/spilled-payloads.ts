import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { Notification } from './notification.ts';
import { PostgresConnector } from './postgres-connector.ts';

/** What a notification says instead of a payload that was too large for it. */
const SPILLED = /^hypervault:spilled:(\d{1,19})$/;
const READ_LIMIT_MS = 5_000;

/**
 * Puts large payloads back into their notifications, and keeps the order of all.
 * Reads on a session of its own, since the listening one must stay free of work.
 */
export class SpilledPayloads {
  readonly #connector: PostgresConnector;
  readonly #onError: (error: unknown) => void;
  /** The end of the queue while a payload is being read; what comes meanwhile waits behind it. */
  #queue: Promise<void> | undefined;

  constructor(endpoint: Endpoint, onError: (error: unknown) => void) {
    this.#connector = new PostgresConnector(endpoint);
    this.#onError = onError;
  }

  /** Hands the notification on, at once unless it or one before it has to be read first. */
  pass(notification: Notification, deliver: (notification: Notification) => void): void {
    const id = SPILLED.exec(notification.payload)?.[1];
    if (id === undefined && this.#queue === undefined) {
      deliver(notification);
      return;
    }
    const before = this.#queue ?? Promise.resolve();
    const turn = before.then(async () => deliver(id === undefined ? notification : await this.#read(id, notification)));
    const done = turn.finally(() => {
      if (this.#queue === done) this.#queue = undefined;
    });
    this.#queue = done;
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#connector.disconnect();
  }

  /** A payload that can't be read leaves the notification as it came: a hint is better than none. */
  async #read(id: string, notification: Notification): Promise<Notification> {
    try {
      const { rows } = await this.#connector.query<{ payload: string }>(
        'select payload from hypervault.spilled_payloads where id = $1 and channel = $2',
        [id, notification.channel],
        { limitMs: READ_LIMIT_MS },
      );
      return rows[0] === undefined ? notification : { ...notification, payload: rows[0].payload };
    } catch (error) {
      this.#onError(error);
      return notification;
    }
  }
}
