import { throwIfAborted } from '../../internal/sleep.ts';
import type { TableRow } from '../catalogue/table-rows.ts';
import type { Router } from '../route/router.ts';
import type { ChunkRange } from '../source/snapshot.ts';
import { confirmDifferences, type RowDifference, suspects } from './confirm.ts';
import type { Digest } from './row-set.ts';
import type { SourceSide } from './source-side.ts';
import type { TargetSide } from './target-side.ts';

/** What a verification found of the rows of one table. */
export interface TableComparison {
  /** Rows of the source, as they were counted. */
  readonly rows: bigint;
  readonly differences: readonly RowDifference[];
  /** How many there are beyond those listed. */
  readonly moreDifferences: number;
  readonly undecided: number;
  /** Routing keys in a shard that is not theirs. */
  readonly misplaced: readonly string[];
}

export interface VerifyTableOptions {
  readonly source: SourceSide;
  readonly targets: readonly TargetSide[];
  readonly router: Router;
  readonly maxDifferences: number;
  /** Which side is written to. */
  readonly leads: 'source' | 'target';
  /** Resolves when the other side has everything that this one had when it was called. */
  readonly passed: () => Promise<void>;
  readonly onRows: (rows: number) => void;
  readonly signal?: AbortSignal | undefined;
}

const CHUNK_ROWS = 100_000;

/**
 * Compares a table chunk by chunk by count and sum of hashes; goes down to single rows only in a chunk that differs,
 * and there tells rows that differ from rows that are under way.
 */
export async function verifyTable(table: TableRow, options: VerifyTableOptions): Promise<TableComparison> {
  const { source, targets, router, maxDifferences, leads, passed, onRows, signal } = options;
  const plan = await source.plan(CHUNK_ROWS);
  const differences: RowDifference[] = [];
  let rows = 0n;
  let undecided = 0;
  const settle = async (target: TargetSide, keys: readonly string[]): Promise<void> => {
    if (keys.length === 0) return;
    const confirmed = await confirmDifferences(source, target, keys, { leads, passed }, signal);
    differences.push(...confirmed.differences);
    undecided += confirmed.undecided;
  };
  for (let chunk = 0; chunk <= plan.bounds.length; chunk++) {
    throwIfAborted(signal, 'verifying');
    const range: ChunkRange | null =
      plan.column === null
        ? null
        : { column: plan.column, from: plan.bounds[chunk - 1] ?? null, to: plan.bounds[chunk] ?? null };
    const [theirs, ...ours] = await Promise.all([source.digest(range), ...targets.map((side) => side.digest(range))]);
    rows += theirs!.rows;
    onRows(Number(theirs!.rows));
    for (const [n, target] of targets.entries()) {
      if (isSame(theirs!, ours[n]!)) continue;
      if (range === null && table.source.estimatedRows > CHUNK_ROWS) {
        const [left, right] = await Promise.all([source.bucketDigests(), target.bucketDigests()]);
        const buckets = [...new Set([...left.keys(), ...right.keys()])].filter(
          (bucket) => !isSame(left.get(bucket), right.get(bucket)),
        );
        if (buckets.length === 0) continue;
        const found = await Promise.all([source.hashesOfBuckets(buckets), target.hashesOfBuckets(buckets)]);
        await settle(target, suspects(...found));
      } else await settle(target, suspects(...(await Promise.all([source.hashes(range), target.hashes(range)]))));
    }
  }
  const misplaced = router.kind === 'by-key' ? await targets[0]!.misplaced(router) : [];
  return {
    rows,
    differences: differences.slice(0, maxDifferences),
    moreDifferences: Math.max(0, differences.length - maxDifferences),
    undecided,
    misplaced: misplaced.slice(0, maxDifferences),
  };
}

function isSame(a: Digest | undefined, b: Digest | undefined): boolean {
  return a?.rows === b?.rows && a?.sum === b?.sum;
}
