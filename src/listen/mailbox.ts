import type { WakeReason } from './component.ts';
import type { Notification } from './notification.ts';
import type { NotificationListener } from './notification-listener.ts';

/** One wake-up of a processor, with all that came since the last one. */
export interface WakeUp {
  readonly reason: WakeReason;
  readonly notifications: readonly Notification[];
}

/**
 * What waits for one processor. Level-triggered: however much comes during a run makes one further run.
 * Bounded: payloads by `maxBuffered` of their listener, everything else by the number of channels.
 */
export class Mailbox {
  /** Called when the box wants the socket to rest, and when it may go on. */
  readonly #onPressure: (pressed: boolean) => void;
  #payloads: Notification[] = [];
  readonly #newest = new Map<string, Notification>();
  #reason: WakeReason | undefined;
  #pressed = false;
  #dropped = 0;
  #wake = (): void => {};

  constructor(onPressure: (pressed: boolean) => void = () => {}) {
    this.#onPressure = onPressure;
  }

  get dropped(): number {
    return this.#dropped;
  }

  get waiting(): number {
    return this.#payloads.length;
  }

  notify(notification: Notification, listener: NotificationListener): void {
    if (!listener.payloads) {
      this.#newest.set(notification.channel, notification);
    } else if (listener.overflow === 'pause') {
      // What the socket had handed out already still comes, so the bound is passed by a little.
      this.#payloads.push(notification);
      if (this.#payloads.length >= listener.maxBuffered) this.#press(true);
    } else if (this.#payloads.length < listener.maxBuffered) {
      this.#payloads.push(notification);
    } else if (listener.overflow === 'drop') {
      this.#dropped += 1;
    } else {
      this.#dropped += this.#payloads.length + 1;
      this.#payloads = [];
      this.#reason = 'overflow';
    }
    this.#wake();
  }

  /** Wakes the processor for another reason than a notification. */
  fire(reason: WakeReason): void {
    this.#reason ??= reason;
    this.#wake();
  }

  /** Puts a wake-up back that could not be worked off, before all that came since. */
  putBack({ notifications }: WakeUp, payloadChannels: ReadonlySet<string>): void {
    this.#payloads = [...notifications.filter(({ channel }) => payloadChannels.has(channel)), ...this.#payloads];
    this.fire('retry');
  }

  /** The next wake-up, or `undefined` when the signal fires first. */
  async next(signal: AbortSignal): Promise<WakeUp | undefined> {
    while (!signal.aborted) {
      const wakeUp = this.#take();
      if (wakeUp) return wakeUp;
      await new Promise<void>((resolve) => {
        const onAbort = (): void => resolve();
        signal.addEventListener('abort', onAbort, { once: true });
        this.#wake = () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
      });
      this.#wake = () => {};
    }
    return undefined;
  }

  #take(): WakeUp | undefined {
    if (this.#reason === undefined && this.#newest.size === 0 && this.#payloads.length === 0) return undefined;
    const wakeUp = {
      reason: this.#reason ?? 'notification',
      notifications: [...this.#payloads, ...this.#newest.values()],
    };
    this.#payloads = [];
    this.#newest.clear();
    this.#reason = undefined;
    if (this.#pressed) this.#press(false);
    return wakeUp;
  }

  #press(pressed: boolean): void {
    if (this.#pressed === pressed) return;
    this.#pressed = pressed;
    this.#onPressure(pressed);
  }
}
