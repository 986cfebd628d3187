import type { Logger } from '../core/index.ts';
import { withPostSaveHook } from './hooks.ts';
import type { CommitKeeper } from './keeper.ts';
import type { CommitStorage } from './storage.ts';

/**
 * The same storage, publishing what it saves in a keeper at once. When that fails the save has succeeded none the
 * less; an auto-publisher will make up for it. Not needed with `PostgresCommitStorage` and a keeper of the same table:
 * there one transaction does both.
 *
 * @example
 * ```ts
 * const storage = keeperPublishing(new HttpCommitStorage({ url }), keeper);
 * ```
 */
export function keeperPublishing<V, S extends CommitStorage<V>>(
  storage: S & CommitStorage<V>,
  keeper: CommitKeeper<V>,
  { logger }: { readonly logger?: Logger | undefined } = {},
): S {
  return withPostSaveHook<V, S>(storage, async (commit) => {
    try {
      await keeper.save(commit);
    } catch (error) {
      logger?.warn({ error, key: commit.key, version: commit.version }, 'kv: a saved commit could not be published');
    }
  });
}
