import { type AppendCall, type AppendOutcome, mergeable } from './append-call.ts';
import type { Row, Statement } from './lane.ts';
import type { EncodedEvent } from './new-event.ts';
import { byteaArray, plainArray, textArray } from './pg-array.ts';

/** A statement, and what its reply says of each append in it. */
export interface AppendStatement extends Statement {
  readonly outcomes: (rows: readonly Row[]) => AppendOutcome[];
}

/** Calls that are written as one append to one stream. */
export type AppendGroup = readonly AppendCall[];

/** The statement that appends to one stream. */
export function appendOne(
  schema: string,
  stream: string,
  expected: bigint,
  checked: boolean,
  events: readonly EncodedEvent[],
): AppendStatement {
  const columns = new EventColumns();
  for (const event of events) columns.add(event);
  return {
    text: `select outcome, first, actual from ${schema}.hv_append_one($1, $2, $3, $4, $5, $6, $7, $8)`,
    values: [stream, expected, checked, ...columns.values],
    outcomes: outcomesOfRows,
  };
}

/** The statement that appends to streams of one shard, each of them once. */
export function appendGroups(schema: string, groups: readonly AppendGroup[]): AppendStatement {
  if (groups.every(isPlain)) return groups.length === 1 ? appendEvent(schema, groups[0]!) : appendEach(schema, groups);
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) {
    const { stream, expected, checked } = only[0]!;
    const events = only.length === 1 ? only[0]!.events : only.flatMap((call) => call.events);
    return appendOne(schema, stream, expected, checked, events);
  }
  const streams: string[] = [];
  const expected: bigint[] = [];
  const checked: boolean[] = [];
  const starts: number[] = [];
  const sizes: number[] = [];
  const at: number[] = [];
  const columns = new EventColumns();
  for (const group of groups) {
    const first = group[0]!;
    streams.push(first.stream);
    expected.push(first.expected);
    checked.push(first.checked);
    starts.push(at.length + 1);
    let size = 0;
    for (const call of group) {
      for (const event of call.events) {
        columns.add(event);
        at.push(streams.length);
      }
      size += call.events.length;
    }
    sizes.push(size);
  }
  return {
    text: `select outcome, first, actual from ${schema}.hv_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    values: [
      textArray(streams),
      plainArray(expected),
      plainArray(checked),
      plainArray(starts),
      plainArray(sizes),
      plainArray(at),
      ...columns.values,
    ],
    outcomes: outcomesOfRows,
  };
}

/** One event that asks nothing: what is asked most often has functions of its own, a third cheaper for the server. */
function isPlain(group: AppendGroup): boolean {
  return group.length === 1 && group[0]!.events.length === 1 && mergeable(group[0]!);
}

function appendEvent(schema: string, [call]: AppendGroup): AppendStatement {
  const { stream, events } = call!;
  const { id, type, body, bytes, metadata } = events[0]!;
  return {
    text: `select ${schema}.hv_append_event($1, $2, $3, $4, $5, $6)`,
    values: [stream, id, type, body, bytes, metadata],
    outcomes: ([row]) => [outcomeOfNumber(row![0] ?? null)],
  };
}

function appendEach(schema: string, groups: readonly AppendGroup[]): AppendStatement {
  const streams: string[] = [];
  const columns = new EventColumns();
  for (const [call] of groups) {
    streams.push(call!.stream);
    columns.add(call!.events[0]!);
  }
  return {
    text: `select ${schema}.hv_append_each($1, $2, $3, $4, $5, $6)`,
    values: [textArray(streams), ...columns.values],
    outcomes: ([row]) => row![0]!.slice(1, -1).split(',').map(outcomeOfNumber),
  };
}

function outcomesOfRows(rows: readonly Row[]): AppendOutcome[] {
  return rows.map(([outcome, first, actual]) => ({
    outcome: outcome!,
    first: first === null || first === undefined ? undefined : BigInt(first),
    actual: BigInt(actual!),
  }));
}

/** @param number - of the event; `null` or `NULL` when its stream was deleted for good */
function outcomeOfNumber(number: string | null): AppendOutcome {
  if (number === null || number === 'NULL') return { outcome: 'deleted', first: undefined, actual: -1n };
  const first = BigInt(number);
  return { outcome: 'appended', first, actual: first - 1n };
}

/** Events as columns, in the order in which the functions take them. */
class EventColumns {
  readonly #ids: string[] = [];
  readonly #types: string[] = [];
  readonly #bodies: (string | null)[] = [];
  readonly #bytes: (Buffer | null)[] = [];
  readonly #metadatas: (string | null)[] = [];

  add({ id, type, body, bytes, metadata }: EncodedEvent): void {
    this.#ids.push(id);
    this.#types.push(type);
    this.#bodies.push(body);
    this.#bytes.push(bytes);
    this.#metadatas.push(metadata);
  }

  get values(): unknown[] {
    return [
      plainArray(this.#ids),
      textArray(this.#types),
      textArray(this.#bodies),
      byteaArray(this.#bytes),
      textArray(this.#metadatas),
    ];
  }
}
