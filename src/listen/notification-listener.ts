import { checkChannel } from './channel.ts';
import type { ComponentContext } from './component.ts';
import { InvalidConfigurationError } from './errors.ts';

/**
 * What happens when a processor is slower than its notifications and `maxBuffered` payloads wait for it.
 *
 * - `coalesce`: the payloads are let go, and the next run has the reason `overflow`: read the table.
 * - `drop`: the newest is let go and counted in `status().dropped`.
 * - `pause`: nothing is taken from the socket until the next run takes them. The server then keeps the notifications
 *   of the whole database cluster; use it for peaks, not for a processor that is too slow at all times.
 */
export type OverflowPolicy = 'coalesce' | 'drop' | 'pause';

export interface NotificationListenerOptions {
  readonly channel: string;
  /** Wakes the processors when listening begins, so that they read what was written before. @default true */
  readonly fireOnStart?: boolean | undefined;
  /** Delivers every payload, in order; otherwise a burst is one further run. @default false */
  readonly payloads?: boolean | undefined;
  /** Payloads that may wait for one processor. @default 10000 */
  readonly maxBuffered?: number | undefined;
  /** @default 'coalesce' */
  readonly overflow?: OverflowPolicy | undefined;
}

const OVERFLOW_POLICIES: readonly string[] = ['coalesce', 'drop', 'pause'] satisfies OverflowPolicy[];

/**
 * Turns the notifications of one channel into wake-ups of the supervisor's processors.
 * After a lost connection the processors are woken in any case: what the gap held is in the table, not in a notification.
 */
export class NotificationListener {
  readonly channel: string;
  readonly fireOnStart: boolean;
  readonly payloads: boolean;
  readonly maxBuffered: number;
  readonly overflow: OverflowPolicy;

  /** @throws InvalidArgumentError for the channel, InvalidConfigurationError for the rest */
  constructor(options: NotificationListenerOptions) {
    if (typeof options !== 'object' || options === null) {
      throw new InvalidConfigurationError('NotificationListener: give { channel }');
    }
    const { channel, fireOnStart = true, payloads = false, maxBuffered = 10_000, overflow = 'coalesce' } = options;
    checkChannel(channel);
    if (!Number.isInteger(maxBuffered) || maxBuffered < 1) {
      throw new InvalidConfigurationError(`maxBuffered: ${String(maxBuffered)} is not a whole number from 1`);
    }
    if (!OVERFLOW_POLICIES.includes(overflow)) {
      throw new InvalidConfigurationError(
        `overflow: ${String(overflow)} is not one of ${OVERFLOW_POLICIES.join(', ')}`,
      );
    }
    this.channel = channel;
    this.fireOnStart = fireOnStart;
    this.payloads = payloads;
    this.maxBuffered = maxBuffered;
    this.overflow = overflow;
  }

  /** Called before LISTEN, each time the supervisor begins to listen. */
  setUp(_context: ComponentContext): Promise<void> | void {}

  /** Called after UNLISTEN, or after the session was lost for good. */
  tearDown(_context: ComponentContext): Promise<void> | void {}
}
