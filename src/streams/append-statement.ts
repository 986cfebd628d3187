import type { AppendCall, AppendOutcome } from './append-call.ts';
import type { Row, Statement } from './lane.ts';
import type { EncodedEvent } from './new-event.ts';
import { byteaArray, plainArray, textArray } from './pg-array.ts';

/** Calls that are written as one append to one stream. */
export type AppendGroup = readonly AppendCall[];

/** The statement that appends to one stream. */
export function appendOne(
  schema: string,
  stream: string,
  expected: bigint,
  checked: boolean,
  events: readonly EncodedEvent[],
): Statement {
  const columns = new EventColumns();
  for (const event of events) columns.add(event);
  return {
    text: `select outcome, first, actual from ${schema}.hv_append_one($1, $2, $3, $4, $5, $6, $7, $8)`,
    values: [stream, expected, checked, ...columns.values],
  };
}

/** The statement that appends to streams of one shard, each of them once. */
export function appendGroups(schema: string, groups: readonly AppendGroup[]): Statement {
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
  };
}

export function outcomeOf([outcome, first, actual]: Row): AppendOutcome {
  return {
    outcome: outcome!,
    first: first === null || first === undefined ? undefined : BigInt(first),
    actual: BigInt(actual!),
  };
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
