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
 * Tells rows that differ from rows that were only under way. A key is looked at on the side that is written to, the
 * stream is let past that moment, then it is looked at on the other side, and on the first once more. When the first
 * side had the same row both times the other has to have it too: it was behind the first look and has seen no other
 * version since.
 *
 * @param leads - which side is written to: the source, or after the switch the target
 * @param passed - resolves when the other side has everything that this one had when it was called
 */
export async function confirmDifferences(
  source: SourceSide,
  target: TargetSide,
  keys: readonly string[],
  { leads, passed }: { readonly leads: 'source' | 'target'; readonly passed: () => Promise<void> },
  signal: AbortSignal | undefined,
): Promise<Confirmed> {
  const [first, second] = leads === 'source' ? [source, target] : [target, source];
  const differences: RowDifference[] = [];
  let undecided = 0;
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    let open = [...keys.slice(at, at + KEYS_AT_ONCE)];
    for (let round = 0; open.length > 0 && round < ROUNDS; round++) {
      if (round > 0) await sleep(50 * round, { signal, what: 'verifying' });
      const before = await first.hashesOf(open);
      await passed();
      const found = await second.hashesOf(open);
      const after = await first.hashesOf(open);
      open = open.filter((key) => {
        const led = before.get(key);
        const followed = found.get(key);
        if (followed === led || followed === after.get(key)) return false;
        if (led !== after.get(key)) return true;
        const [theirs, ours] = leads === 'source' ? [led, followed] : [followed, led];
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
