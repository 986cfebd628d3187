import type { Position } from './position.ts';
import type { RecordedEvent } from './recorded-event.ts';

export type StreamDirection = 'forward' | 'backward';
/** The two, for those who like to see them named. */
export const StreamDirection = { forward: 'forward', backward: 'backward' } as const;

/** A page of one stream: a list of events, and where to go on. */
export class StreamSlice extends Array<RecordedEvent> {
  readonly stream: string;
  readonly direction: StreamDirection;
  /** Where the next page begins; `-1n` after the first event of the stream, backwards. */
  readonly nextEventNumber: bigint;
  /** Number of the stream's last event. */
  readonly lastEventNumber: bigint;
  /** There is nothing more in this direction, now. */
  readonly isEndOfStream: boolean;

  /** @internal */
  constructor(
    events: readonly RecordedEvent[],
    facts: { stream: string; direction: StreamDirection; next: bigint; last: bigint; isEnd: boolean },
  ) {
    super();
    for (const event of events) this.push(event);
    this.stream = facts.stream;
    this.direction = facts.direction;
    this.nextEventNumber = facts.next;
    this.lastEventNumber = facts.last;
    this.isEndOfStream = facts.isEnd;
  }

  /** `map`, `filter` and the like give plain lists. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The events as a plain list. */
  get events(): RecordedEvent[] {
    return [...this];
  }
}

/** A page of all events, or of a category. */
export class AllSlice extends Array<RecordedEvent> {
  readonly direction: StreamDirection;
  /** Where this page began. */
  readonly position: Position;
  /** Where the next one begins. */
  readonly nextPosition: Position;
  /** There is nothing more in this direction, now. */
  readonly isEnd: boolean;

  /** @internal */
  constructor(
    events: readonly RecordedEvent[],
    facts: { direction: StreamDirection; position: Position; nextPosition: Position; isEnd: boolean },
  ) {
    super();
    for (const event of events) this.push(event);
    this.direction = facts.direction;
    this.position = facts.position;
    this.nextPosition = facts.nextPosition;
    this.isEnd = facts.isEnd;
  }

  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The events as a plain list. */
  get events(): RecordedEvent[] {
    return [...this];
  }
}
