import { linkSignals } from '../../internal/link-signals.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { RowKey } from './key-range.ts';
import { keyText, type RowState, type TablePair } from './table-pair.ts';

/** A row that is not the same on both servers. */
export interface RowDifference {
  /** The primary key as texts, a text for each of its columns. */
  readonly key: RowKey;
  /** `missing` on the target, `extra` on the target, `changed`: on both, and not the same. */
  readonly kind: 'missing' | 'extra' | 'changed';
}

/** What came of rows that looked different at first. */
export interface SettledRows {
  readonly differences: readonly RowDifference[];
  /** Rows written so often that no look found them at rest. */
  readonly unsettled: readonly RowKey[];
}

/** Resolves when the target has everything the source had committed at the time of the call. */
export type LagPassed = (options: { readonly signal?: AbortSignal | undefined }) => Promise<void>;

/** How rows are settled. */
export interface SettleOptions {
  readonly lagPassed: LagPassed;
  readonly lockHotRows: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Longest time a row is held, and longest wait for it. */
const MAX_HOLD_MS = 1_000;
/** Looks at a row before it is called unsettled: each takes one wait for the lag. */
const MAX_LOOKS = 10;
/** The same where it may be held instead. */
const MAX_LOOKS_BEFORE_HOLDING = 3;
/** A row the source lacks has no version that could tell that it came and went; it must be seen so twice. */
const SIGHTINGS_OF_EXTRA = 2;

/**
 * Decides which of these rows truly differ, while both servers are written to.
 *
 * Source, then the lag, then target, then source again: the target's row is right when it is one of the two the source
 * showed. It is wrong only when the source's row was not written in between. A row that is written in every look is held,
 * when `lockHotRows` says so, for as long as the lag takes.
 */
export async function settleRows(
  pair: TablePair,
  keys: readonly RowKey[],
  { lagPassed, lockHotRows, signal }: SettleOptions,
): Promise<SettledRows> {
  const { source, target } = pair;
  const differences: RowDifference[] = [];
  const sightings = new Map<string, number>();
  let open = keys;
  const maxLooks = lockHotRows ? MAX_LOOKS_BEFORE_HOLDING : MAX_LOOKS;
  for (let look = 1; open.length > 0 && look <= maxLooks; look++) {
    throwIfAborted(signal, 'verify');
    const before = await source.rowsAt(open);
    await lagPassed({ signal });
    const copy = await target.rowsAt(open);
    const after = await source.rowsAt(open);
    const busy: RowKey[] = [];
    for (const key of open) {
      const text = keyText(key);
      const [was, is, has] = [before.get(text), after.get(text), copy.get(text)];
      if (has?.hash === was?.hash || has?.hash === is?.hash) continue;
      if (!atRest(was, is)) {
        busy.push(key);
      } else if (is === undefined) {
        const seen = (sightings.get(text) ?? 0) + 1;
        sightings.set(text, seen);
        if (seen < SIGHTINGS_OF_EXTRA) busy.push(key);
        else differences.push({ key, kind: 'extra' });
      } else {
        differences.push({ key, kind: has === undefined ? 'missing' : 'changed' });
      }
    }
    open = busy;
  }
  if (!lockHotRows) return { differences, unsettled: open };
  const unsettled: RowKey[] = [];
  for (const key of open) {
    const same = await sameWhileHeld(pair, key, { lagPassed, signal });
    if (same === undefined) unsettled.push(key);
    else if (!same) differences.push({ key, kind: 'changed' });
  }
  return { differences, unsettled };
}

/** Compares a row that is never at rest, by holding it for as long as the lag takes; `undefined` when it can't be had. */
async function sameWhileHeld(
  { source, target }: TablePair,
  key: RowKey,
  { lagPassed, signal }: Omit<SettleOptions, 'lockHotRows'>,
): Promise<boolean | undefined> {
  using stop = linkSignals([signal], MAX_HOLD_MS);
  try {
    return await source.holding(key, MAX_HOLD_MS, async (row) => {
      if (row === undefined) return undefined;
      await lagPassed({ signal: stop.signal });
      const copy = await target.rowsAt([key]);
      return copy.get(keyText(key))?.hash === row.hash;
    });
  } catch (error) {
    throwIfAborted(signal, 'verify');
    if (stop.signal.aborted || sqlStateOf(error) === SQLSTATE.lockNotAvailable) return undefined;
    throw error;
  }
}

function atRest(was: RowState | undefined, is: RowState | undefined): boolean {
  return was?.version === is?.version;
}
