import { throwIfAborted } from '../../internal/sleep.ts';
import type { KeyRange, RowKey } from './key-range.ts';
import { type RowDifference, type SettleOptions, settleRows } from './settle-rows.ts';
import type { RangeSum, TablePair } from './table-pair.ts';

/** What a comparison of one table found. */
export interface TableVerification {
  readonly table: string;
  /** Rows of the source that were compared by this run; with `after`, only those above it. */
  readonly rows: bigint;
  readonly chunks: number;
  /** Chunks that were not the same at once and had to be looked at row by row. */
  readonly rechecked: number;
  readonly differences: readonly RowDifference[];
  /** Rows written so often that no look found them at rest: nothing is proven of them. */
  readonly unsettled: readonly RowKey[];
  /** Whether the end of the table was reached; `false` when there were too many differences to go on. */
  readonly complete: boolean;
  /** Why the tables could not be compared at all. */
  readonly problem?: string | undefined;
}

export interface VerifyTableOptions extends SettleOptions {
  readonly chunkRows: number;
  readonly maxDifferences: number;
  readonly after?: RowKey | undefined;
  /** Told after each batch of chunks that is settled: a later run may go on from `position`. */
  readonly onSettled?:
    | ((progress: { rows: bigint; doubtful: number; position: RowKey | undefined }) => void)
    | undefined;
}

/** Chunks that share one wait for the lag. */
const BATCH = 16;

/** Compares one table chunk by chunk; what differs is looked at row by row once the lag has passed. */
export async function verifyTable(
  table: string,
  pair: TablePair,
  { chunkRows, maxDifferences, after, onSettled, ...settling }: VerifyTableOptions,
): Promise<TableVerification> {
  const differences: RowDifference[] = [];
  const unsettled: RowKey[] = [];
  let [rows, chunks, rechecked] = [0n, 0, 0];
  let from = after;
  let open: KeyRange[] = [];
  for (let last = false; !last; ) {
    throwIfAborted(settling.signal, 'verify');
    const upTo = await pair.source.boundary(from, chunkRows);
    last = upTo === undefined;
    const range: KeyRange = { after: from, upTo };
    const [there, here] = await Promise.all([pair.source.sum(range), pair.target.sum(range)]);
    rows += there.rows;
    chunks += 1;
    if (!same(there, here)) open.push(range);
    from = upTo;
    if (!last && chunks % BATCH > 0) continue;
    rechecked += open.length;
    const doubtful: RowKey[] = [];
    for (const differing of open) doubtful.push(...(await suspects(pair, differing, 2 * chunkRows + maxDifferences)));
    const settled = await settleRows(pair, doubtful, settling);
    differences.push(...settled.differences);
    unsettled.push(...settled.unsettled);
    if (differences.length + unsettled.length >= maxDifferences) {
      const most = differences.slice(0, maxDifferences);
      return { table, rows, chunks, rechecked, differences: most, unsettled, complete: false };
    }
    open = [];
    onSettled?.({ rows, doubtful: differences.length + unsettled.length, position: upTo });
  }
  return { table, rows, chunks, rechecked, differences, unsettled, complete: true };
}

function same(a: RangeSum, b: RangeSum): boolean {
  return a.rows === b.rows && a.hash === b.hash;
}

/**
 * Keys of a range whose rows are not the same on both sides at this moment. The target may hold any number of rows there
 * that the source does not: at most `limit` are looked at, which is enough to end the comparison.
 */
async function suspects({ source, target }: TablePair, range: KeyRange, limit: number): Promise<RowKey[]> {
  const [there, here] = await Promise.all([source.rowsOf(range, limit), target.rowsOf(range, limit)]);
  const keys = new Map<string, RowKey>();
  for (const [text, { key }] of [...there, ...here]) {
    if (there.get(text)?.hash !== here.get(text)?.hash) keys.set(text, key);
  }
  return [...keys.values()];
}
