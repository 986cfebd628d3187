/**
 * Errors of streams.
 *
 * ```
 * HypervaultError
 * ├─ StreamsError                      carries `stream` and `correlationId` where there are any
 * │  ├─ StreamNotFoundError            no event was ever written to the stream
 * │  ├─ StreamDeletedError             the stream was deleted; `hard` says whether for good
 * │  ├─ EventNotFoundError             the stream has no event of this number; `eventNumber`
 * │  ├─ WrongExpectedVersionError      `expected` and `actual`; nothing was written
 * │  ├─ EventIdConflictError           some of the event ids are in the stream already, but not in this way
 * │  ├─ BadRequestError                a value passed to a call is wrong; nothing was sent
 * │  │  ├─ EventTooLargeError          `bytes` over `maxBytes`
 * │  │  └─ ForeignEventError           ack of an event that this subscription did not deliver
 * │  ├─ AccessDeniedError              the role lacks a right
 * │  ├─ PayloadUnreadableError         the body is no JSON; `payload` holds it
 * │  ├─ SubscriptionCreationFailedError   `reason` says why
 * │  ├─ SubscriptionFailedError        a running subscription was dropped; `reason` says why
 * │  └─ LeaseLostError                 the event went to another consumer meanwhile; retryable
 * ├─ AuthenticationError               photon-pump's NotAuthenticated
 * ├─ ServerUnavailableError            its NotReady and DiscoveryFailed; NotLeader can't happen, the primary is followed
 * ├─ QueueFullError                    its TooBusy
 * └─ OutcomeUnknownError               the reply to an append was lost and the time to repeat it is over
 * ```
 *
 * @module
 */

import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';

/** Where an error of streams happened. */
export interface StreamsErrorContext extends HypervaultErrorOptions {
  readonly stream?: string | undefined;
  /** The caller's own id of the operation, as given with the call. */
  readonly correlationId?: string | undefined;
}

/** Base of all errors of streams. */
export class StreamsError extends HypervaultError {
  readonly stream: string | undefined;
  readonly correlationId: string | undefined;

  constructor(code: string, message: string, { stream, correlationId, ...options }: StreamsErrorContext = {}) {
    super(code, message, options);
    this.stream = stream;
    this.correlationId = correlationId;
  }
}

/** No event was ever written to the stream. */
export class StreamNotFoundError extends StreamsError {
  constructor(stream: string, context?: StreamsErrorContext) {
    super('STREAM_NOT_FOUND', `there is no stream ${JSON.stringify(stream)}`, { ...context, stream });
  }
}

/** The stream was deleted. */
export class StreamDeletedError extends StreamsError {
  /** Deleted for good: nothing can be appended any more. */
  readonly hard: boolean;

  constructor(stream: string, hard: boolean, context?: StreamsErrorContext) {
    super(
      'STREAM_DELETED',
      hard
        ? `the stream ${JSON.stringify(stream)} was deleted for good; its name can't be used again`
        : `the stream ${JSON.stringify(stream)} was deleted; an append brings it back, with numbers going on`,
      { ...context, stream },
    );
    this.hard = hard;
  }
}

/** The stream has no event of this number. */
export class EventNotFoundError extends StreamsError {
  readonly eventNumber: bigint;

  constructor(stream: string, eventNumber: bigint, context?: StreamsErrorContext) {
    super('EVENT_NOT_FOUND', `the stream ${JSON.stringify(stream)} has no event ${eventNumber}`, {
      ...context,
      stream,
    });
    this.eventNumber = eventNumber;
  }
}

/** The stream is at another version than the caller expected: nothing was written. */
export class WrongExpectedVersionError extends StreamsError {
  /** As given with the call. */
  readonly expected: bigint | 'noStream' | 'streamExists';
  /** Number of the stream's last event; `-1n` when there is none. */
  readonly actual: bigint;

  constructor(
    stream: string,
    expected: bigint | 'noStream' | 'streamExists',
    actual: bigint,
    context?: StreamsErrorContext,
  ) {
    const have = actual < 0n ? 'it has no events' : `its last event is ${actual}`;
    const want =
      expected === 'noStream'
        ? 'the stream was to be new'
        : expected === 'streamExists'
          ? 'the stream was to exist'
          : `event ${expected} was to be its last`;
    super('WRONG_EXPECTED_VERSION', `${JSON.stringify(stream)}: ${want}, but ${have}; read it again and decide anew`, {
      ...context,
      stream,
    });
    this.expected = expected;
    this.actual = actual;
  }
}

/** Some of the event ids are in the stream already, but not as this append would have written them. */
export class EventIdConflictError extends StreamsError {
  /** The lowest number that one of the ids has in the stream. */
  readonly eventNumber: bigint;

  constructor(stream: string, eventNumber: bigint, context?: StreamsErrorContext) {
    super(
      'EVENT_ID_CONFLICT',
      `${JSON.stringify(stream)}: an event id of this append is already that of event ${eventNumber}, and the append is ` +
        'not a repetition of the one that wrote it; give new events new ids',
      { ...context, stream },
    );
    this.eventNumber = eventNumber;
  }
}

/** A value passed to a call is wrong. Nothing was sent. */
export class BadRequestError extends StreamsError {
  constructor(message: string, context?: StreamsErrorContext, code = 'BAD_REQUEST') {
    super(code, message, context);
  }
}

/** An event is larger than the option `maxEventBytes` allows. */
export class EventTooLargeError extends BadRequestError {
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(bytes: number, maxBytes: number, context?: StreamsErrorContext) {
    super(
      `an event of ${bytes} bytes is over the bound of ${maxBytes} (option maxEventBytes)`,
      context,
      'EVENT_TOO_LARGE',
    );
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/** The event was not delivered by this subscription. */
export class ForeignEventError extends BadRequestError {
  constructor(message: string, context?: StreamsErrorContext) {
    super(message, context, 'FOREIGN_EVENT');
  }
}

/** The database role lacks a right. */
export class AccessDeniedError extends StreamsError {
  constructor(message: string, context?: StreamsErrorContext) {
    super('ACCESS_DENIED', message, context);
  }
}

/** The body of an event is not what was asked for. */
export class PayloadUnreadableError extends StreamsError {
  readonly payload: Buffer;

  constructor(message: string, payload: Buffer, context?: StreamsErrorContext) {
    super('PAYLOAD_UNREADABLE', message, context);
    this.payload = payload;
  }
}

/** Why a subscription could not be made, or was dropped. */
export type SubscriptionDropReason =
  | 'AccessDenied'
  | 'AlreadyExists'
  | 'NotFound'
  | 'PersistentSubscriptionDeleted'
  | 'SubscriberMaxCountReached'
  | 'StreamDeleted'
  | 'Stopped'
  | 'Closed';

/** A subscription could not be made. */
export class SubscriptionCreationFailedError extends StreamsError {
  readonly reason: SubscriptionDropReason;

  constructor(message: string, reason: SubscriptionDropReason, context?: StreamsErrorContext) {
    super('SUBSCRIPTION_CREATION_FAILED', message, context);
    this.reason = reason;
  }
}

/** A running subscription was dropped. Its iterator throws this after the events it had. */
export class SubscriptionFailedError extends StreamsError {
  readonly reason: SubscriptionDropReason;

  constructor(message: string, reason: SubscriptionDropReason, context?: StreamsErrorContext) {
    super('SUBSCRIPTION_FAILED', message, context);
    this.reason = reason;
  }
}

/** The event went to another consumer of the group meanwhile; what the handler did in this transaction is undone. */
export class LeaseLostError extends StreamsError {
  constructor(message: string, context?: StreamsErrorContext) {
    super('LEASE_LOST', message, { retryable: true, ...context });
  }
}
