import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { NotificationHub } from './hub.ts';
import type { NotificationListener } from './notification-listener.ts';
import type { Processors } from './processors.ts';
import { SpilledPayloads } from './spilled-payloads.ts';
import type { Subscription } from './subscription.ts';

/** The listeners of a supervisor: subscribed to its hub while it is active, waking its processors. */
export class Listeners {
  readonly #hub: NotificationHub;
  readonly #processors: Processors;
  readonly #spilled: SpilledPayloads;
  readonly #listeners: NotificationListener[] = [];
  readonly #subscriptions = new Map<NotificationListener, Promise<Subscription | undefined>>();
  readonly #heardBefore = new Set<NotificationListener>();
  #stop = new AbortController();

  constructor(hub: NotificationHub, endpoint: Endpoint, processors: Processors, onError: (error: unknown) => void) {
    this.#hub = hub;
    this.#processors = processors;
    this.#spilled = new SpilledPayloads(endpoint, onError);
  }

  get size(): number {
    return this.#listeners.length;
  }

  get channels(): string[] {
    return this.#listeners.map(({ channel }) => channel);
  }

  add(listener: NotificationListener): void {
    this.#listeners.push(listener);
    if (listener.payloads) this.#processors.keepPayloads(listener.channel);
  }

  /** Subscribes those that are not; resolves when all of them hear. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    for (const listener of this.#listeners) {
      if (!this.#subscriptions.has(listener)) this.#subscriptions.set(listener, this.#begin(listener, signal));
    }
    const begun = await Promise.all(this.#subscriptions.values());
    await Promise.all(begun.map((subscription) => subscription?.ready()));
  }

  async stop(): Promise<void> {
    const { signal } = this.#stop;
    this.#stop.abort();
    this.#stop = new AbortController();
    const begun = [...this.#subscriptions];
    this.#subscriptions.clear();
    for (const [listener, beginning] of begun) {
      const subscription = await beginning.catch(() => undefined);
      await subscription?.close();
      await listener.tearDown({ signal });
    }
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#spilled.close();
  }

  async #begin(listener: NotificationListener, signal: AbortSignal): Promise<Subscription | undefined> {
    try {
      await listener.setUp({ signal });
      return signal.aborted ? undefined : this.#subscribe(listener);
    } catch (error) {
      this.#subscriptions.delete(listener);
      throw error;
    }
  }

  #subscribe(listener: NotificationListener): Subscription {
    const { channel } = listener;
    const deliver = (notification: Parameters<Processors['notify']>[0]): void =>
      this.#processors.notify(notification, listener);
    return this.#hub.subscribe(
      channel,
      (notification) => (listener.payloads ? this.#spilled.pass(notification, deliver) : deliver(notification)),
      {
        onCatchUp: ({ reason: given }) => {
          // To start again after a time as a standby is to come back: there is a gap to be read.
          const reason = given === 'start' && this.#heardBefore.has(listener) ? 'reconnect' : given;
          this.#heardBefore.add(listener);
          if (reason !== 'start' || listener.fireOnStart) this.#processors.fire(channel, reason);
        },
      },
    );
  }
}
