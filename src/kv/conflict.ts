import { SV, sqlStateOf } from '../internal/sqlstate.ts';
import type { CommitInput } from './commit.ts';
import { CommitOrderingError, ConcurrentCommitError } from './errors.ts';

/**
 * Our typed error for a refusal that the kv functions raised; any other error as it is.
 *
 * @param commits what was to be written, to tell a comparison that failed from a commit that did not fit
 */
export function conflictOf(
  error: unknown,
  commits: readonly CommitInput[],
  compare: ReadonlyMap<string, number> = new Map(),
): unknown {
  const state = sqlStateOf(error);
  if (state !== SV.kvOrdering && state !== SV.kvConcurrent) return error;
  const detail = JSON.parse(String((error as { detail?: unknown }).detail)) as Record<
    'newest' | 'asked' | 'known',
    number
  > & {
    key: string;
  };
  const { key } = detail;
  const provided = commits.find((commit) => commit.key === key && sameVersion(commit, detail.asked))?.version;
  if (state === SV.kvConcurrent) {
    return new ConcurrentCommitError(key, detail.known, commits[0]!.version, { cause: error });
  }
  if (compare.get(key) === detail.asked) {
    return new CommitOrderingError(key, detail.newest, detail.asked, { cause: error });
  }
  return new CommitOrderingError(key, detail.newest + 1, provided ?? detail.asked + 1, { cause: error });
}

/** Versions below 1 are all sent as 0, since the server's integers end where ours do. */
function sameVersion({ version }: CommitInput, asked: number): boolean {
  return Math.max(version, 0) === asked + 1;
}
