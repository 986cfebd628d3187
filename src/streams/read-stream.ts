import { StreamDeletedError, StreamNotFoundError, type StreamsErrorContext } from './errors.ts';
import type { Row, Statement } from './lane.ts';
import { type EventRow, RecordedEvent } from './recorded-event.ts';
import type { RunOptions, Shards } from './shards.ts';
import { type StreamDirection, StreamSlice } from './stream-slice.ts';

/** A page as the shard gave it. */
export interface StreamPage {
  readonly rows: EventRow[];
  /** Number of the stream's last event; -1 when it has none. */
  readonly version: bigint;
  /** Lowest number that retention leaves. */
  readonly first: bigint;
  readonly deleted: 'soft' | 'hard' | undefined;
}

/** Reads one page of a stream; `undefined` when there is no such stream. */
export async function readStreamPage(
  shards: Shards,
  shardId: number,
  { stream, from, max, backward }: { stream: string; from: bigint | undefined; max: number; backward: boolean },
  options?: RunOptions,
): Promise<StreamPage | undefined> {
  const rows = await shards.query(
    'read',
    shardId,
    readStreamStatement(shards.schema(shardId), stream, from, max, backward),
    options,
  );
  const last = rows.at(-1);
  if (last === undefined) return undefined;
  return {
    rows: last[0] === null ? [] : rows.map((row) => eventRow(stream, row)),
    version: BigInt(last[7]!),
    deleted: (last[8] ?? undefined) as StreamPage['deleted'],
    first: BigInt(last[9]!),
  };
}

function readStreamStatement(
  schema: string,
  stream: string,
  from: bigint | undefined,
  max: number,
  backward: boolean,
): Statement {
  return {
    text: `select number, id, uuid, type, body, bytes, metadata, version, deleted, first from ${schema}.hv_read_stream($1, $2, $3, $4)`,
    values: [stream, from ?? null, max, backward],
  };
}

function eventRow(stream: string, [number, id, uuid, type, body, bytes, metadata]: Row): EventRow {
  return {
    stream,
    number: BigInt(number!),
    id: id!,
    uuid: uuid!,
    type: type!,
    body: body!,
    bytes: bytes!,
    metadata: metadata!,
  };
}

/** The page, or the error of a stream that can't be read. */
export function presentPage(page: StreamPage | undefined, stream: string, context: StreamsErrorContext): StreamPage {
  if (page === undefined || (page.version < 0n && page.deleted === undefined)) {
    throw new StreamNotFoundError(stream, context);
  }
  if (page.deleted !== undefined) throw new StreamDeletedError(stream, page.deleted === 'hard', context);
  return page;
}

/** What callers get of a page. */
export function sliceOf(
  { rows, version, first }: StreamPage,
  epoch: number,
  { stream, direction, from, max }: { stream: string; direction: StreamDirection; from: bigint; max: number },
): StreamSlice {
  const events = rows.map((row) => new RecordedEvent(row, epoch));
  const last = events.at(-1);
  const forward = direction === 'forward';
  const isEnd =
    events.length < max || last === undefined || (forward ? last.eventNumber >= version : last.eventNumber <= first);
  let next: bigint;
  if (forward) next = last === undefined ? maxOf(from, version + 1n) : last.eventNumber + 1n;
  else next = last === undefined || isEnd ? -1n : last.eventNumber - 1n;
  return new StreamSlice(events, { stream, direction, next, last: version, isEnd });
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
