import { BadRequestError } from '../errors.ts';
import type { Delivery } from './delivery.ts';

/**
 * What to do with an event that could not be worked off.
 *
 * - `retry`: try it again, at most `maxRetryCount` times, then park it
 * - `park`: put it aside for people
 * - `skip`: be done with it
 * - `stop`: give it back uncounted, and close this subscription
 */
export type NackAction = 'retry' | 'park' | 'skip' | 'stop';

export interface NackOptions {
  /** retry: not before so long. @default the group's retryDelayMs */
  readonly delayMs?: number | undefined;
  /** Kept with the event, for people. */
  readonly reason?: string | undefined;
}

/** @throws BadRequestError */
export function checkNack(action: NackAction, { delayMs }: NackOptions): void {
  if (!['retry', 'park', 'skip', 'stop'].includes(action)) {
    throw new BadRequestError(`nack: the action is 'retry', 'park', 'skip' or 'stop', not ${JSON.stringify(action)}`);
  }
  if (delayMs !== undefined && (!Number.isFinite(delayMs) || delayMs < 0)) {
    throw new BadRequestError(`nack: delayMs must be a number of milliseconds, not ${String(delayMs)}`);
  }
}

/** Says of an event in hand that it was not worked off; `stop` is for the subscription to do. */
export function refuse(
  delivery: Delivery,
  action: Exclude<NackAction, 'stop'>,
  { delayMs, reason }: NackOptions,
): void {
  if (action === 'skip') delivery.owner.settled(delivery);
  else if (action === 'park') delivery.owner.park(delivery, delivery.attempts + 1, reason ?? 'parked by its consumer');
  else tryAgain(delivery, delayMs, reason ?? 'not acknowledged by its consumer');
}

/** Tries an event again later; parks it when that was done too often. */
export function tryAgain(delivery: Delivery, delayMs: number | undefined, reason: string): void {
  const { maxRetryCount, retryDelayMs } = delivery.owner.settings;
  const attempts = delivery.attempts + 1;
  if (attempts > maxRetryCount) delivery.owner.park(delivery, attempts, reason);
  else delivery.owner.retry(delivery, attempts, Math.round(delayMs ?? retryDelayMs), reason);
}
