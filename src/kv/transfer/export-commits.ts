import type { Commit } from '../commit.ts';
import { RevisionCompactedError } from '../errors.ts';
import type { CallOptions, CommitJournal } from '../storage.ts';

export interface ExportOptions extends CallOptions {
  /** Only keys that begin with this text. @default '' */
  readonly prefix?: string | undefined;
  /** Only what happened after this revision: what an earlier export did not hold. @default 0 */
  readonly after?: bigint | undefined;
}

const PAGE = 100;

/**
 * Every commit there is, tombstones included, in the order in which they were made; ends where the journal ended when
 * it came there. Where the history is no longer whole and all of it is asked for, what is left of it comes key by key.
 *
 * @throws RevisionCompactedError when `after` is before the compaction
 */
export async function* exportCommits<V>(
  journal: CommitJournal<V>,
  { prefix = '', after = 0n, signal }: ExportOptions = {},
): AsyncGenerator<Commit<V>, void, undefined> {
  try {
    for (let cursor = after, more = true; more; ) {
      const page = await journal.changes({ after: cursor, prefix, limit: PAGE, signal });
      yield* page.commits;
      ({ revision: cursor, more } = page);
    }
  } catch (error) {
    if (!(error instanceof RevisionCompactedError) || after > 0n) throw error;
    yield* byKey(journal, prefix, signal);
  }
}

async function* byKey<V>(
  journal: CommitJournal<V>,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Commit<V>> {
  const { heads } = await journal.snapshot({ prefix, signal });
  for (const { key, version } of heads.values()) {
    // Newest first is how they come; oldest first is how they can be brought in again.
    const versions: number[] = [];
    for (let before = version + 1; ; ) {
      const page = await journal.history(key, { before, limit: PAGE, signal });
      versions.push(...page.map((commit) => commit.version));
      if (page.length < PAGE) break;
      before = page.at(-1)!.version;
    }
    for (const each of versions.reverse()) {
      const commit = await journal.get(key, each, { signal });
      if (commit !== null) yield commit;
    }
  }
}
