import { HypervaultError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import type { Commit } from './commit.ts';
import type { Changes, CommitJournal, WatchOptions } from './storage.ts';
import { WakeUp } from './wake-up.ts';

/** What a watch stands on. */
export interface WatchSource<V> {
  readonly changes: CommitJournal<V>['changes'];
  /** The newest revision. */
  revision(signal: AbortSignal | undefined): Promise<bigint>;
  /** Calls back when there may be something new. Hints only: the journal is the truth. */
  onHint(ring: () => void): () => void;
  /** Looks without a hint this often. @default never */
  readonly pollMs?: number | undefined;
}

/**
 * Follows a journal from a revision on. Subscribes to the hints first and reads second, so nothing falls between;
 * reads a page, hands it out, and only then moves on, so the reader sets the pace.
 * Waits out a server that is away. Ends quietly when the signal fires; every other failure is thrown.
 */
export async function* watchJournal<V>(
  source: WatchSource<V>,
  { after, prefix = '', signal, onProgress }: WatchOptions,
): AsyncGenerator<Commit<V>, void, undefined> {
  const wakeUp = new WakeUp();
  const unsubscribe = source.onHint(() => wakeUp.ring());
  try {
    let cursor = after ?? (await outliving(signal, () => source.revision(signal)));
    for (;;) {
      const page: Changes<V> = await outliving(signal, () => source.changes({ after: cursor, prefix, signal }));
      yield* page.commits;
      if (page.revision > cursor) onProgress?.(page.revision);
      cursor = page.revision;
      if (!page.more) await wakeUp.wait(source.pollMs, signal);
    }
  } catch (error) {
    if (signal?.aborted) return;
    throw error;
  } finally {
    unsubscribe();
  }
}

/** Repeats a read while its failure is one that passes. */
async function outliving<T>(signal: AbortSignal | undefined, read: () => Promise<T>): Promise<T> {
  const backoff = new Backoff({ baseMs: 25, maxMs: 500 });
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof HypervaultError && error.retryable)) throw error;
      await sleep(backoff.next(), { signal, what: 'watching' });
    }
  }
}
