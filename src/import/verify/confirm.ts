import { sleep } from '../../internal/sleep.ts';
import type { RowHashes } from './row-set.ts';
import type { SourceSide } from './source-side.ts';
import type { TargetSide } from './target-side.ts';

/** A row that is not the same on both sides. */
export interface RowDifference {
  /** Values of the key's columns; of all columns when the table has no key. */
  readonly key: readonly (string | null)[];
  /** Seen from the target. */
  readonly kind: 'missing' | 'extra' | 'different';
  /** Which copy of the table it is about. */
  readonly place: string;
}

/** Keys that look different, and what became of them. */
export interface Confirmed {
  readonly differences: readonly RowDifference[];
  /** Rows that changed so often that nothing can be said of them. */
  readonly undecided: number;
}

const ROUNDS = 12;
/** Rows are looked at again so many at a time. */
const KEYS_AT_ONCE = 2_000;

/**
 * Tells rows that differ from rows that were only under way. A key is looked at in the source, the stream is let past
 * that moment, then it is looked at in the target, and in the source once more. When the source had the same row both
 * times the target has to have it too: it was behind the first look and has seen no other version since.
 *
 * @param passed - resolves when the target has everything that the source had when it was called
 */
export async function confirmDifferences(
  source: SourceSide,
  target: TargetSide,
  keys: readonly string[],
  passed: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<Confirmed> {
  const differences: RowDifference[] = [];
  let undecided = 0;
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    let open = [...keys.slice(at, at + KEYS_AT_ONCE)];
    for (let round = 0; open.length > 0 && round < ROUNDS; round++) {
      if (round > 0) await sleep(50 * round, { signal, what: 'verifying' });
      const before = await source.hashesOf(open);
      await passed();
      const found = await target.hashesOf(open);
      const after = await source.hashesOf(open);
      open = open.filter((key) => {
        const theirs = before.get(key);
        const ours = found.get(key);
        if (ours === theirs || ours === after.get(key)) return false;
        if (theirs !== after.get(key)) return true;
        differences.push({ key: JSON.parse(key) as (string | null)[], kind: kindOf(theirs, ours), place: target.name });
        return false;
      });
    }
    undecided += open.length;
  }
  return { differences, undecided };
}

function kindOf(theirs: string | undefined, ours: string | undefined): RowDifference['kind'] {
  if (ours === undefined) return 'missing';
  return theirs === undefined ? 'extra' : 'different';
}

/** Keys whose rows are not the same in two sets. */
export function suspects(theirs: RowHashes, ours: RowHashes): string[] {
  const keys = [...theirs].filter(([key, hash]) => ours.get(key) !== hash).map(([key]) => key);
  for (const key of ours.keys()) if (!theirs.has(key)) keys.push(key);
  return keys;
}
