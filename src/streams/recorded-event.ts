import { Key } from '../core/index.ts';
import { PayloadUnreadableError } from './errors.ts';
import type { Position } from './position.ts';

/** What a row of an event holds, as it comes from the server. */
export interface EventRow {
  readonly stream: string;
  readonly number: bigint;
  readonly id: string;
  readonly uuid: string;
  readonly type: string;
  readonly body: string | null;
  /** Hexadecimal, as Postgres writes bytea: `\x…`. */
  readonly bytes: string | null;
  readonly metadata: string | null;
}

/**
 * An event as it is stored. What is not asked for is not decoded.
 *
 * @example
 * ```ts
 * const event = await store.getEvent('ponies', 0n);
 * event.json<{ height: number }>().height;
 * ```
 */
export class RecordedEvent {
  /** The stream the event was written to. */
  readonly stream: string;
  /** Its number in the stream it was read from; for a resolved link, the link's. */
  readonly eventNumber: bigint;
  /** The UUID it was published with. */
  readonly id: string;
  readonly type: string;
  /** Where the reading stands after this event, in `$all` or a category; `undefined` in a stream. */
  readonly position: Position | undefined;
  /** The link that led to this event, when it was reached by one. */
  readonly link: RecordedEvent | undefined;
  /** How often it was tried before, in a persistent subscription; 0 the first time. */
  readonly retryCount: number;
  readonly #row: EventRow;
  readonly #epoch: number;
  #givenOutAs: unknown;

  /** @internal */
  constructor(
    row: EventRow,
    epoch: number,
    { position, link, retryCount = 0 }: { position?: Position; link?: RecordedEvent; retryCount?: number } = {},
  ) {
    this.stream = row.stream;
    this.eventNumber = link?.eventNumber ?? row.number;
    this.id = row.uuid;
    this.type = row.type;
    this.position = position;
    this.link = link;
    this.retryCount = retryCount;
    this.#row = row;
    this.#epoch = epoch;
  }

  /** What was received: the link, when the event was reached by one, else the event. */
  get receivedEvent(): RecordedEvent {
    return this.link ?? this;
  }

  /** The event itself, with its own number, also when it was reached by a link. */
  get event(): RecordedEvent {
    return this.link === undefined ? this : new RecordedEvent(this.#row, this.#epoch);
  }

  /** The 64-bit id in the cluster, which says when and in which shard the event was written. */
  get key(): Key {
    return new Key(this.#row.id, { epoch: this.#epoch });
  }

  /** When the event was written, by its server's clock, to the millisecond. */
  get created(): Date {
    return this.key.created;
  }

  /** The body as bytes; empty when there is none. */
  get data(): Buffer {
    const { body, bytes } = this.#row;
    if (body !== null) return Buffer.from(body);
    return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes.slice(2), 'hex');
  }

  /** The metadata, decoded; `null` when there are none. */
  get metadata(): unknown {
    const { metadata } = this.#row;
    return metadata === null ? null : JSON.parse(metadata);
  }

  /**
   * The body, decoded; `undefined` when there is none.
   *
   * @throws PayloadUnreadableError when the event carries bytes that are no JSON
   */
  json<T = unknown>(): T {
    const { body, bytes } = this.#row;
    if (body !== null) return JSON.parse(body) as T;
    if (bytes === null) return undefined as T;
    const { data } = this;
    try {
      return JSON.parse(data.toString()) as T;
    } catch (cause) {
      throw new PayloadUnreadableError(
        `event ${this.#row.number} of ${JSON.stringify(this.stream)} carries ${data.length} bytes that are no JSON`,
        data,
        { stream: this.stream, cause },
      );
    }
  }

  /** What a persistent subscription keeps with an event it has given out. @internal */
  get givenOutAs(): unknown {
    return this.#givenOutAs;
  }

  /** @internal */
  set givenOutAs(delivery: unknown) {
    this.#givenOutAs = delivery;
  }

  /** The same event, reached by a link. @internal */
  reachedBy(link: RecordedEvent): RecordedEvent {
    const { position, retryCount } = link;
    return new RecordedEvent(this.#row, this.#epoch, { link, retryCount, ...(position !== undefined && { position }) });
  }

  toJSON(): object {
    const { stream, eventNumber, id, type, created, metadata } = this;
    const { body, bytes } = this.#row;
    return {
      stream,
      eventNumber: eventNumber.toString(),
      id,
      type,
      created,
      position: this.position?.toString(),
      body: body === null ? undefined : JSON.parse(body),
      data: bytes === null ? undefined : this.data.toString('base64'),
      metadata: metadata ?? undefined,
    };
  }
}
