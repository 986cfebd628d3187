import { InvalidArgumentError } from '../errors.ts';
import type { Commit } from './commit.ts';
import { CommitOrderingError } from './errors.ts';
import type { CallOptions, CommitJournal } from './storage.ts';

export interface RollbackOptions extends CallOptions {
  /** @default '' */
  readonly author?: string | undefined;
  /** @default says which version comes back */
  readonly comment?: string | undefined;
  /** Only says what would be done. @default false */
  readonly dryRun?: boolean | undefined;
}

export interface RollbackKeyOptions extends RollbackOptions {
  /** The newest version must still be this one. @default whatever it is */
  readonly from?: number | undefined;
}

/** One key of a rollback. */
export interface RollbackStep {
  readonly key: string;
  /** The newest version before. */
  readonly from: number;
  /** The version whose payload comes back; `null` when the key did not exist, and so is removed. */
  readonly to: number | null;
  /** The new version that holds it. */
  readonly version: number;
}

/**
 * Brings back the payload of an older version of a key, as a new version: nothing of the history is lost.
 * Nothing is done when the newest version has that payload already.
 *
 * @throws InvalidArgumentError when there is no such version, CommitOrderingError when somebody saved meanwhile
 *
 * @example
 * ```ts
 * await rollbackKey(storage, 'limits', 3, { author: 'ann' });
 * // [{ key: 'limits', from: 7, to: 3, version: 8 }]
 * ```
 */
export async function rollbackKey<V>(
  storage: CommitJournal<V>,
  key: string,
  version: number,
  { from, ...options }: RollbackKeyOptions = {},
): Promise<RollbackStep[]> {
  const { signal } = options;
  const [head, target] = [await storage.get(key, undefined, { signal }), await storage.get(key, version, { signal })];
  if (head === null || target === null) {
    throw new InvalidArgumentError(`${key} has no version ${version} to go back to`);
  }
  if (from !== undefined && head.version !== from) throw new CommitOrderingError(key, head.version + 1, from + 1);
  return apply(storage, [{ head, target }], options);
}

/**
 * Brings all keys with a prefix back to what they were at a revision, in one transaction: changed keys get their old
 * payload as a new version, keys that did not exist are removed, removed ones return.
 *
 * @throws RevisionCompactedError when the history since then is no longer whole, CommitOrderingError
 */
export async function rollbackPrefix<V>(
  storage: CommitJournal<V>,
  prefix: string,
  revision: bigint,
  options: RollbackOptions = {},
): Promise<RollbackStep[]> {
  const { signal } = options;
  const touched = new Map<string, { first: Commit<V>; head: Commit<V> }>();
  for (let after = revision, more = true; more; ) {
    const page = await storage.changes({ after, prefix, signal });
    for (const commit of page.commits) {
      touched.set(commit.key, { first: touched.get(commit.key)?.first ?? commit, head: commit });
    }
    ({ revision: after, more } = page);
  }
  const pairs: Pair<V>[] = [];
  for (const { first, head } of touched.values()) {
    const target = first.version === 1 ? null : await storage.get(first.key, first.version - 1, { signal });
    pairs.push({ head, target });
  }
  return apply(storage, pairs, options);
}

interface Pair<V> {
  readonly head: Commit<V>;
  readonly target: Commit<V> | null;
}

async function apply<V>(
  storage: CommitJournal<V>,
  pairs: readonly Pair<V>[],
  { author = '', comment, dryRun = false, signal }: RollbackOptions,
): Promise<RollbackStep[]> {
  const changed = pairs.filter(({ head, target }) => !samePayload(head.payload, target?.payload ?? null));
  const steps = changed.map(({ head, target }) => ({
    key: head.key,
    from: head.version,
    to: target?.version ?? null,
    version: head.version + 1,
  }));
  if (dryRun || steps.length === 0) return steps;
  await storage.saveAll(
    changed.map(({ head, target }, index) => ({
      key: head.key,
      version: steps[index]!.version,
      payload: target?.payload ?? null,
      author,
      comment: comment ?? explain(steps[index]!),
    })),
    { signal },
  );
  return steps;
}

function samePayload(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

function explain({ from, to }: RollbackStep): string {
  return to === null
    ? `rollback from version ${from}: removed, as before it began`
    : `rollback from version ${from} to ${to}`;
}
