import { BadRequestError, EventTooLargeError } from './errors.ts';
import { newEventId } from './event-id.ts';
import type { RecordedEvent } from './recorded-event.ts';

/** Type of an event that stands for another one: see {@link linkTo}. */
export const LINK_TYPE = '$>';

/** What an event may carry. */
export interface NewEventOptions {
  /**
   * The event's id, a UUID: an append is idempotent by it. Give one where the same event may be published twice.
   * Those that grow with time (version 7) are cheaper to store than those at random.
   * @default a new one of version 7
   */
  readonly id?: string | undefined;
  /** A text is JSON as it is; bytes are kept as bytes; anything else is encoded as JSON; nothing is an empty body. */
  readonly body?: unknown;
  /** JSON, by the same rule, but no bytes. */
  readonly metadata?: unknown;
}

/**
 * An event to be published.
 *
 * @example
 * ```ts
 * new NewEvent('PonyJumped', { body: { height: 10 }, metadata: { by: 'me' } });
 * ```
 * @throws BadRequestError when the id is no UUID or a text is no JSON
 */
export class NewEvent {
  readonly id: string;
  readonly type: string;
  readonly body: unknown;
  readonly metadata: unknown;
  /** The id came from the caller, so the event may have been published before. @internal */
  readonly idGiven: boolean;

  constructor(type: string, { id, body, metadata }: NewEventOptions = {}) {
    if (typeof type !== 'string' || type === '' || /[\0\p{Surrogate}]/u.test(type)) {
      throw new BadRequestError(`the type of an event is a text, not empty, without NUL: ${JSON.stringify(type)}`);
    }
    if (id !== undefined && (typeof id !== 'string' || !UUID.test(id))) {
      throw new BadRequestError(`the id of an event is a UUID, not ${JSON.stringify(id)}`);
    }
    this.id = id?.toLowerCase() ?? newEventId();
    this.type = type;
    this.body = body;
    this.metadata = metadata;
    this.idGiven = id !== undefined;
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** An event that stands for another one: readers get that one in its place, with `link` set. */
export function linkTo(event: Pick<RecordedEvent, 'stream' | 'eventNumber'>, options?: NewEventOptions): NewEvent {
  return new NewEvent(LINK_TYPE, { ...options, body: Buffer.from(`${event.eventNumber}@${event.stream}`) });
}

/** An event as it travels. */
export interface EncodedEvent {
  readonly id: string;
  readonly type: string;
  /** JSON text, or `null`. */
  readonly body: string | null;
  readonly bytes: Buffer | null;
  readonly metadata: string | null;
  readonly size: number;
  readonly idGiven: boolean;
}

/** @throws BadRequestError for what is no JSON and can't be made so; EventTooLargeError */
export function encodeEvent(event: NewEvent, maxBytes: number): EncodedEvent {
  const { id, type, idGiven } = event;
  const bytes = event.body instanceof Uint8Array ? bufferOf(event.body) : null;
  const body = bytes === null ? encodeJson(event.body, type, 'body') : null;
  const metadata = encodeJson(event.metadata, type, 'metadata');
  const size = type.length + (bytes?.length ?? 0) + sizeOf(body) + sizeOf(metadata);
  if (size > maxBytes) throw new EventTooLargeError(size, maxBytes);
  return { id, type, body, bytes, metadata, size, idGiven };
}

function encodeJson(value: unknown, type: string, part: 'body' | 'metadata'): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string') return checkedJson(value, type, part);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new BadRequestError(`${partOf(type, part)} can't be encoded as JSON: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) {
    throw new BadRequestError(`${partOf(type, part)} can't be encoded as JSON: it is a ${typeof value}`);
  }
  return text;
}

function checkedJson(text: string, type: string, part: string): string {
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new BadRequestError(
      `${partOf(type, part)} is a text that is no JSON (${(cause as Error).message}); pass other text as a Buffer, or JSON.stringify it`,
      { cause },
    );
  }
  // JSON may hold such halves as \ud800, but not as they are: UTF-8 has no form for them.
  if (/\p{Surrogate}/u.test(text)) {
    throw new BadRequestError(`${partOf(type, part)} holds half of a surrogate pair`);
  }
  return text;
}

function partOf(type: string, part: string): string {
  return `the ${part} of an event ${JSON.stringify(type)}`;
}

function sizeOf(text: string | null): number {
  return text === null ? 0 : Buffer.byteLength(text);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
