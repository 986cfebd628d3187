import { ClosedError } from '../errors.ts';
import { abortable } from '../internal/abortable.ts';
import { CatchUp, type CatchUpContext, type CatchUpReason } from './catch-up.ts';
import type { Notification } from './notification.ts';

/** Called for every notification, in order of arrival, never awaited: mark what to do and return. */
export type NotificationHandler = (notification: Notification) => unknown;

export interface SubscribeOptions {
  /**
   * Called once LISTEN is in force – the first time, after every reconnect, and for each poll – to read what was
   * written before. One run at a time; requests meanwhile make one further run; a failed run is repeated.
   * The same fact may come both ways: tolerate it.
   */
  readonly onCatchUp?: ((context: CatchUpContext) => unknown) | undefined;
}

/** One interest in one channel. */
export class Subscription {
  readonly channel: string;
  readonly #handler: NotificationHandler;
  readonly #catchUp: CatchUp | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #onClose: (subscription: Subscription) => Promise<void>;
  readonly #ready: Promise<void>;
  #markReady = (): void => {};
  #markFailed = (_error: Error): void => {};
  #closed = false;

  /** @internal Made by {@link NotificationHub.subscribe}. */
  constructor(
    channel: string,
    handler: NotificationHandler,
    { onCatchUp }: SubscribeOptions,
    hooks: { onError: (error: unknown) => void; onClose: (subscription: Subscription) => Promise<void> },
  ) {
    this.channel = channel;
    this.#handler = handler;
    this.#onError = hooks.onError;
    this.#onClose = hooks.onClose;
    this.#catchUp = onCatchUp && new CatchUp(onCatchUp, hooks.onError);
    this.#ready = new Promise((resolve, reject) => {
      this.#markReady = resolve;
      this.#markFailed = reject;
    });
    this.#ready.catch(() => {});
  }

  /** Resolves when the channel is listened to for the first time. Rejects when the hub is closed before that. */
  async ready({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await abortable(this.#ready, signal, `waiting to listen on ${this.channel}`);
  }

  /** Stops listening; waits for a catch-up in hand. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.failed('closed');
    await this.#catchUp?.close();
    await this.#onClose(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  deliver(notification: Notification): void {
    try {
      const result = this.#handler(notification);
      if (result instanceof Promise) result.catch(this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** @internal There will be no session (any more). */
  failed(reason: string): void {
    this.#markFailed(new ClosedError(`not listening on ${this.channel}: ${reason}`));
  }

  /** @internal LISTEN is in force, or a poll is due. */
  listening(reason: CatchUpReason): void {
    this.#markReady();
    this.#catchUp?.request(reason);
  }
}
