import { Commit, type CommitInput } from './commit.ts';
import { CommitOrderingError } from './errors.ts';
import type { CallOptions, CommitStorage } from './storage.ts';

/** What a save would do. */
export interface DryRun<V> {
  /** The commit as it would be kept. */
  readonly commit: Commit<V>;
  /** The version it would follow; `null` when the key was never saved. */
  readonly head: Commit<V> | null;
}

/**
 * Finds out whether a save would be taken, and writes nothing: the hooks are asked, the version is compared. What it
 * throws is what `save` would throw. No promise: somebody may be faster, and then `save` says so.
 *
 * @example
 * ```ts
 * const { commit, head } = await dryRun(storage, { key: 'limits', version: 4, payload: Buffer.from('{"max":9}') });
 * console.log(diffPayloads(head?.payload ?? null, commit.payload));
 * ```
 * @throws CommitOrderingError, CommitRefusedError, InvalidArgumentError
 */
export async function dryRun<V>(
  storage: CommitStorage<V>,
  input: CommitInput,
  options: CallOptions = {},
): Promise<DryRun<V>> {
  const commit = input instanceof Commit ? (input as Commit<V>) : new Commit<V>(input, storage.codec);
  await storage.check?.(commit, options);
  const head = await storage.get(commit.key, undefined, options);
  const expected = (head?.version ?? 0) + 1;
  if (commit.version !== expected) throw new CommitOrderingError(commit.key, expected, commit.version);
  return { commit, head };
}
