import { describeValue } from '../internal/describe-value.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { ShardRangeError } from './errors.ts';
import { MAX_SHARDS } from './id-layout.ts';

/** Shards `from` to `to - 1`: half-open, like every range here. */
export interface ShardRange {
  readonly from: number;
  readonly to: number;
}

/** Ranges as people write them: `'1-9'`, `'1-5,8-9'`, `['1-5', '8-9']`, `{ from: 1, to: 9 }`, or a list of these. */
export type ShardRangesInput = string | ShardRange | readonly (string | ShardRange)[];

/**
 * Reads ranges, sorted and with neighbours joined.
 *
 * @param where - who has these ranges, for the error message, e.g. `server "eu1"`
 * @example
 * ```ts
 * parseShardRanges('1-5,8-9');   // [{ from: 1, to: 5 }, { from: 8, to: 9 }]: shards 1 to 4 and 8
 * ```
 * @throws ShardRangeError when one is malformed, reversed, empty or outside 0–8192, or when two overlap
 */
export function parseShardRanges(input: ShardRangesInput, where = 'shards'): ShardRange[] {
  const items: readonly unknown[] = Array.isArray(input) ? input : [input];
  const ranges = items
    .flatMap((item) => (typeof item === 'string' ? item.split(',').map((text) => parseText(text, where)) : item))
    .map((range) => checkRange(range, where))
    .sort((a, b) => a.from - b.from);
  if (ranges.length === 0) throw new ShardRangeError(`${where}: no shards given; give a range like '1-9' (1 to 8)`);
  const joined: ShardRange[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last !== undefined && range.from < last.to) {
      throw new ShardRangeError(
        `${where}: the range ${formatShardRanges([range])} overlaps ${formatShardRanges([last])}`,
      );
    }
    if (last !== undefined && range.from === last.to) joined[joined.length - 1] = { from: last.from, to: range.to };
    else joined.push(range);
  }
  return joined;
}

/** Writes ranges as {@link parseShardRanges} reads them: `1-5,8-9`. */
export function formatShardRanges(ranges: readonly ShardRange[]): string {
  return ranges.map(({ from, to }) => `${from}-${to}`).join(',');
}

/** The shards of the ranges, one by one. */
export function shardsOf(ranges: readonly ShardRange[]): number[] {
  return ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index));
}

function parseText(text: string, where: string): ShardRange {
  const match = /^\s*(\d{1,9})-(\d{1,9})\s*$/.exec(text);
  if (match !== null) return { from: Number(match[1]), to: Number(match[2]) };
  const single = /^\s*(\d{1,4})\s*$/.exec(text);
  const hint = single === null ? `'1-9' means 1 to 8` : `for one shard write '${single[1]}-${Number(single[1]) + 1}'`;
  throw new ShardRangeError(`${where}: ${describeValue(text)} is not a half-open range of shards; ${hint}`);
}

function checkRange(range: unknown, where: string): ShardRange {
  if (typeof range !== 'object' || range === null || !('from' in range) || !('to' in range)) {
    throw new ShardRangeError(`${where}: ${describeValue(range)} is not a range of shards; '1-9' means 1 to 8`);
  }
  assertKnownKeys(range, ['from', 'to'], `${where}: range`);
  const { from, to } = range;
  const shown = `the range ${String(from)}-${String(to)}`;
  if (typeof from !== 'number' || typeof to !== 'number' || !Number.isInteger(from) || !Number.isInteger(to)) {
    throw new ShardRangeError(`${where}: ${shown} is not made of whole numbers`);
  }
  if (from === to)
    throw new ShardRangeError(
      `${where}: ${shown} is empty: ranges are half-open, ${from}-${from + 1} is shard ${from}`,
    );
  if (from > to) throw new ShardRangeError(`${where}: ${shown} is reversed; write ${to}-${from}`);
  if (from < 0 || to > MAX_SHARDS) throw new ShardRangeError(`${where}: ${shown} is outside 0-${MAX_SHARDS}`);
  return { from, to };
}
