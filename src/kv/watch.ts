import { AbortedError } from '../errors.ts';
import type { Commit } from './commit.ts';
import type { CommitJournal, WatchOptions } from './storage.ts';
import { WakeUp } from './wake-up.ts';

/** What a watch stands on. */
export interface WatchSource<V> {
  readonly changes: CommitJournal<V>['changes'];
  /** The newest revision. */
  revision(signal: AbortSignal | undefined): Promise<bigint>;
  /** Calls back when there may be something new. Hints only: the journal is the truth. */
  onHint(ring: () => void): () => void;
  /** Looks without a hint this often. */
  readonly pollMs: number;
}

/**
 * Follows a journal from a revision on. Subscribes to the hints first and reads second, so nothing falls between;
 * reads a page, hands it out, and only then moves on, so the reader sets the pace.
 * Ends quietly when the signal fires; every other failure is thrown.
 */
export async function* watchJournal<V>(
  source: WatchSource<V>,
  { after, prefix = '', signal, onProgress }: WatchOptions,
): AsyncGenerator<Commit<V>, void, undefined> {
  const wakeUp = new WakeUp();
  const unsubscribe = source.onHint(() => wakeUp.ring());
  try {
    let cursor = after ?? (await source.revision(signal));
    for (;;) {
      const page = await source.changes({ after: cursor, prefix, signal });
      yield* page.commits;
      if (page.revision > cursor) onProgress?.(page.revision);
      cursor = page.revision;
      if (!page.more) await wakeUp.wait(source.pollMs, signal);
    }
  } catch (error) {
    if (signal?.aborted && error instanceof AbortedError) return;
    throw error;
  } finally {
    unsubscribe();
  }
}
