import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';

/**
 * Errors of listening.
 *
 * ```
 * HypervaultError
 * ├─ InvalidConfigurationError   a supervisor without listener or processor, or with parts of the wrong kind
 * ├─ ListenError                 a listening session was given up: heartbeat, role, or channels lost
 * └─ LeaseLostError              the term of a leader is over
 * ```
 *
 * @module
 */

/** A supervisor, listener or hub is put together wrongly; nothing was started. */
export class InvalidConfigurationError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('INVALID_CONFIGURATION', message, options);
  }
}

/** Why a listening session was given up. */
export type ListenErrorReason = 'heartbeat' | 'role' | 'channels' | 'closed';

/** A listening session was given up; a new one is made by itself. */
export class ListenError extends HypervaultError {
  readonly reason: ListenErrorReason;

  constructor(reason: ListenErrorReason, message: string, options?: HypervaultErrorOptions) {
    super('LISTEN', message, { retryable: true, ...options });
    this.reason = reason;
  }
}

/** The term of a leader is over; what was to be done in it must not be done. */
export class LeaseLostError extends HypervaultError {
  readonly lease: string;
  readonly epoch: bigint;

  constructor(lease: string, epoch: bigint, options?: HypervaultErrorOptions) {
    super('LEASE_LOST', `the lease ${JSON.stringify(lease)} is no longer held in term ${epoch}`, options);
    this.lease = lease;
    this.epoch = epoch;
  }
}
