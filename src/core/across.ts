import { InvalidArgumentError } from '../errors.ts';
import { ColumnOrder, type OrderBy } from './column-order.ts';
import { type Combination, combineRows } from './combine.ts';
import type { Cursor } from './cursor.ts';
import { type FanOutOptions, fanOut, type ShardFailure } from './fan-out.ts';
import type { Servers } from './servers.ts';
import { rowObject, tableTypes } from './table-rows.ts';

/** How one statement runs on many shards. */
export interface AcrossOptions extends FanOutOptions {
  /** @default every shard of the map */
  readonly shards?: readonly number[] | undefined;
  /** Orders the rows of all shards together. Text is ordered by code point, NULL comes last. */
  readonly orderBy?: OrderBy | readonly OrderBy[] | undefined;
  /** Most rows returned in all. */
  readonly limit?: number | undefined;
  /** Columns of an aggregate that are put together over shards; the other columns say which rows belong together. */
  readonly combine?: Readonly<Record<string, Combination>> | undefined;
}

/** Rows of many shards. */
export interface AcrossResult<Row> {
  readonly rows: Row[];
  /** Shards that failed; empty unless `onError` is `'partial'`. */
  readonly failures: ShardFailure[];
}

type PlainRow = Record<string, unknown>;

/**
 * Runs one statement on many shards and puts the rows together. The statement is wrapped, never parsed:
 * `select * from (…) q order by … limit …`, so it must be one that can stand in a FROM.
 */
export async function across<Row extends object>(
  servers: Servers,
  text: string,
  values: readonly unknown[],
  { shards, orderBy, limit, combine, ...how }: AcrossOptions,
  poolMax: number,
): Promise<AcrossResult<Row>> {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new InvalidArgumentError(`limit must be a whole number of at least 0, not ${limit}`);
  }
  const targets = [...new Set(shards ?? servers.map.shards)];
  if (targets.length === 0) return { rows: [], failures: [] };
  const inner = text.trim().replace(/;+$/, '');
  let order: ColumnOrder | undefined;
  if (orderBy !== undefined) {
    // Types decide how text must be collated and values compared, so one shard is asked for them first.
    const first = await fanOut(servers, targets.slice(0, 1), (cursor) => describe(cursor, inner, values), how, poolMax);
    const [fields] = first.results.values();
    if (fields !== undefined) order = new ColumnOrder(orderBy, fields);
  }
  // Rows that belong together may be anywhere in their shard: only what is not combined may be cut short there.
  const tail = `${order === undefined ? '' : ` order by ${order.sql}`}${limit === undefined || combine !== undefined ? '' : ` limit ${limit}`}`;
  const statement = `select * from (${inner}\n) q${tail}`;
  const { results, failures } = await fanOut(
    servers,
    targets,
    async (cursor) => {
      const types = tableTypes(() => servers.of(cursor.shardId).hstoreOid);
      const result = await cursor.queryArrays(statement, values, types);
      return result.rows.map((row) => rowObject(row, result, 0));
    },
    how,
    poolMax,
  );
  let rows: PlainRow[] = [...results.values()].flat();
  if (combine !== undefined) rows = combineRows(rows, combine);
  if (order !== undefined)
    rows = mergeArrays(combine === undefined ? [...results.values()] : [rows.sort(order.compare)], order, limit);
  else if (limit !== undefined) rows = rows.slice(0, limit);
  return { rows: rows as Row[], failures };
}

async function describe(cursor: Cursor, inner: string, values: readonly unknown[]) {
  return (await cursor.query(`select * from (${inner}\n) q limit 0`, values)).fields;
}

/** Merges sorted arrays; ties keep the order of shards. */
function mergeArrays(lists: readonly PlainRow[][], order: ColumnOrder, limit = Number.MAX_SAFE_INTEGER): PlainRow[] {
  if (lists.length === 1) return lists[0]!.slice(0, limit);
  const rest =
    lists.length > 2
      ? [
          mergeArrays(lists.slice(0, lists.length >> 1), order, limit),
          mergeArrays(lists.slice(lists.length >> 1), order, limit),
        ]
      : lists;
  const [a, b] = rest as [PlainRow[], PlainRow[]];
  const merged: PlainRow[] = [];
  for (let i = 0, j = 0; merged.length < limit && (i < a.length || j < b.length); ) {
    const takeA = j >= b.length || (i < a.length && order.compare(a[i]!, b[j]!) <= 0);
    merged.push(takeA ? a[i++]! : b[j++]!);
  }
  return merged;
}
