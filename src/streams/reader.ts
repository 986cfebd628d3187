import { type ConsumerGroupMember, rowFilter } from './all-source.ts';
import { BadRequestError, EventNotFoundError, type StreamsErrorContext } from './errors.ts';
import { resolveLinks } from './links.ts';
import type { LiveShards } from './live-shards.ts';
import { Position } from './position.ts';
import { prefetched } from './prefetch.ts';
import { headOf, readMerged } from './read-merged.ts';
import { presentPage, readStreamPage, type StreamPage, sliceOf } from './read-stream.ts';
import { RecordedEvent } from './recorded-event.ts';
import type { RunOptions, Shards } from './shards.ts';
import { AllSlice, type StreamDirection, StreamSlice } from './stream-slice.ts';

/** Most events of one page. */
export const MAX_PAGE = 10_000;

/** What every read may be told. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Your own id of the operation; errors carry it. */
  readonly correlationId?: string | undefined;
  /** Put the event that a link stands for in its place. @default true */
  readonly resolveLinks?: boolean | undefined;
  /** The shard the stream is in, when it was given with the appends. */
  readonly shardId?: number | undefined;
}

export interface GetOptions extends ReadOptions {
  /** @default 'forward' */
  readonly direction?: StreamDirection | undefined;
  /** @default `0n` forwards, the last event backwards */
  readonly fromEvent?: bigint | undefined;
  /** @default 100 */
  readonly maxCount?: number | undefined;
}

export interface IterOptions extends Omit<GetOptions, 'maxCount'> {
  /** Events of one page; two pages are kept at most. @default 100 */
  readonly batchSize?: number | undefined;
}

/** Where to begin in all events; a text is what {@link Position.toString} gave. */
export type StartPosition = Position | string | 'beginning' | 'end';

export interface GetAllOptions extends Omit<ReadOptions, 'shardId'> {
  /** @default 'forward' */
  readonly direction?: StreamDirection | undefined;
  /** @default `'beginning'` forwards, `'end'` backwards */
  readonly fromPosition?: StartPosition | undefined;
  /** @default 100 */
  readonly maxCount?: number | undefined;
  /** Only streams of this category: what stands before the first `-` of their names. */
  readonly category?: string | undefined;
  /** Only the streams that fall to this one of several readers. */
  readonly consumerGroup?: ConsumerGroupMember | undefined;
  /** Only these shards. @default all of the map */
  readonly shards?: readonly number[] | undefined;
}

export interface IterAllOptions extends Omit<GetAllOptions, 'maxCount'> {
  /** Events of one page of one shard; two pages of each are kept at most. @default 100 */
  readonly batchSize?: number | undefined;
}

/** Reads streams, and all events. */
export class Reader {
  readonly #shards: Shards;
  readonly #live: LiveShards;

  constructor(shards: Shards, live: LiveShards) {
    this.#shards = shards;
    this.#live = live;
  }

  async event(shardId: number, stream: string, number: bigint, options: ReadOptions): Promise<RecordedEvent> {
    const from = checkNumber('getEvent', number);
    const page = await this.#page(shardId, stream, from, 1, false, options);
    const [row] = page.rows;
    if (row?.number !== from) throw new EventNotFoundError(stream, from, contextOf(options));
    return (await this.#resolved([new RecordedEvent(row, this.#shards.epoch)], options))[0]!;
  }

  async slice(shardId: number, stream: string, options: GetOptions): Promise<StreamSlice> {
    const direction = checkDirection(options.direction);
    const max = checkCount('maxCount', options.maxCount ?? 100);
    const from = startOf(options.fromEvent, direction);
    const page = await this.#page(shardId, stream, from, max, direction === 'backward', options);
    const slice = sliceOf(page, this.#shards.epoch, { stream, direction, from, max });
    const events = await this.#resolved(slice, options);
    if (events === slice) return slice;
    const { nextEventNumber: next, lastEventNumber: last, isEndOfStream: isEnd } = slice;
    return new StreamSlice(events, { stream, direction, next, last, isEnd });
  }

  async *iterate(
    shardId: number,
    stream: string,
    options: IterOptions,
  ): AsyncGenerator<RecordedEvent, void, undefined> {
    const direction = checkDirection(options.direction);
    const max = checkCount('batchSize', options.batchSize ?? 100);
    const from = startOf(options.fromEvent, direction);
    const read = (fromEvent: bigint): Promise<StreamSlice> =>
      this.slice(shardId, stream, { ...options, direction, maxCount: max, fromEvent });
    const next = (page: StreamSlice): Promise<StreamSlice> | undefined =>
      page.isEndOfStream ? undefined : read(page.nextEventNumber);
    for await (const page of prefetched(await read(from), next)) yield* page;
  }

  async all(options: GetAllOptions): Promise<AllSlice> {
    const direction = checkDirection(options.direction);
    const max = checkCount('maxCount', options.maxCount ?? 100);
    const shardIds = options.shards ?? this.#shards.ids;
    const position = await this.#start(options, direction, shardIds);
    const events: RecordedEvent[] = [];
    const merged = this.#merged(position, direction, shardIds, max, options);
    for await (const event of merged) {
      events.push(event);
      if (events.length === max) break;
    }
    const nextPosition = events.at(-1)?.position ?? position;
    return new AllSlice(events, { direction, position, nextPosition, isEnd: events.length < max });
  }

  async *iterateAll(options: IterAllOptions): AsyncGenerator<RecordedEvent, void, undefined> {
    const direction = checkDirection(options.direction);
    const max = checkCount('batchSize', options.batchSize ?? 100);
    const shardIds = options.shards ?? this.#shards.ids;
    const position = await this.#start(options, direction, shardIds);
    yield* this.#merged(position, direction, shardIds, max, options);
  }

  #merged(
    position: Position,
    direction: StreamDirection,
    shardIds: readonly number[],
    batchSize: number,
    { category, consumerGroup, resolveLinks: resolve = true, signal }: IterAllOptions,
  ): AsyncGenerator<RecordedEvent, void, undefined> {
    const { matches: _, ...filter } = rowFilter(category, consumerGroup);
    const backward = direction === 'backward';
    return readMerged(this.#shards, shardIds, { ...filter, position, backward, batchSize, resolve }, { signal });
  }

  /** Events that are committed by now get their positions first, so that everybody reads what they wrote. */
  async #start(
    { fromPosition, signal }: GetAllOptions,
    direction: StreamDirection,
    shardIds: readonly number[],
  ): Promise<Position> {
    const wanted = fromPosition ?? (direction === 'forward' ? 'beginning' : 'end');
    await Promise.all(shardIds.map((shardId) => this.#live.sequencer(shardId).pass({ signal })));
    if (wanted === 'end') return headOf(this.#shards, shardIds, { signal });
    return parseStart(wanted);
  }

  async #page(
    shardId: number,
    stream: string,
    from: bigint,
    max: number,
    backward: boolean,
    options: ReadOptions,
  ): Promise<StreamPage> {
    const run: RunOptions = { signal: options.signal };
    const page = await readStreamPage(this.#shards, shardId, { stream, from, max, backward }, run);
    return presentPage(page, stream, contextOf(options));
  }

  #resolved(events: readonly RecordedEvent[], options: ReadOptions): Promise<readonly RecordedEvent[]> {
    if (options.resolveLinks === false) return Promise.resolve(events);
    return resolveLinks(this.#shards, events, { signal: options.signal });
  }
}

/** @throws BadRequestError */
export function parseStart(start: Exclude<StartPosition, 'end'>): Position {
  if (start === 'beginning') return Position.beginning;
  if (start instanceof Position) return start;
  if (typeof start === 'string') return Position.parse(start);
  throw new BadRequestError(`a position is a Position, its text, 'beginning' or 'end', not ${String(start)}`);
}

/** @throws BadRequestError */
export function checkNumber(what: string, number: unknown): bigint {
  if (typeof number === 'bigint' && number >= 0n && number < 2n ** 63n) return number;
  const hint = typeof number === 'number' ? `; use a bigint: ${number}n` : '';
  throw new BadRequestError(`${what}: the number of an event is a bigint of 0 and above, not ${String(number)}${hint}`);
}

/** @throws BadRequestError */
export function checkCount(name: string, count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_PAGE) return count;
  throw new BadRequestError(`${name} must be a whole number from 1 to ${MAX_PAGE}, not ${String(count)}`);
}

function checkDirection(direction: StreamDirection = 'forward'): StreamDirection {
  if (direction === 'forward' || direction === 'backward') return direction;
  throw new BadRequestError(`direction must be 'forward' or 'backward', not ${JSON.stringify(direction)}`);
}

function startOf(fromEvent: bigint | undefined, direction: StreamDirection): bigint {
  if (fromEvent !== undefined) return checkNumber('fromEvent', fromEvent);
  return direction === 'forward' ? 0n : 2n ** 63n - 1n;
}

function contextOf({ correlationId }: ReadOptions): StreamsErrorContext {
  return { correlationId };
}
