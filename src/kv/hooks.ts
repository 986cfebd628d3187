import { HypervaultError } from '../errors.ts';
import { Commit, type CommitInput } from './commit.ts';
import { CommitRefusedError } from './errors.ts';
import { type CommitJournal, type CommitStorage, isJournal } from './storage.ts';

/** Called with a commit that is about to be saved, or was. */
export type SaveHook<V> = (commit: Commit<V>) => void | Promise<void>;

/**
 * The same storage, asking `hook` before each save; what the hook throws aborts it. The place to validate.
 * A {@link CommitRefusedError}, or a plain `Error`, reaches the users of the HTTP server as a 400 with its message.
 * With several keys in one save, every one is asked about before any is written.
 *
 * @example
 * ```ts
 * const checked = withPreSaveHook(storage, (commit) => {
 *   if (commit.key.startsWith('limit.') && !(Number(commit.payload) < 100)) throw new Error('limits end at 100');
 * });
 * ```
 */
export function withPreSaveHook<V, S extends CommitStorage<V>>(storage: S & CommitStorage<V>, hook: SaveHook<V>): S {
  const ask = async (input: CommitInput): Promise<Commit<V>> => {
    const commit = asCommit(storage, input);
    try {
      await hook(commit);
    } catch (error) {
      throw refusal(error);
    }
    return commit;
  };
  return decorate(storage, {
    check: async (commit, options) => {
      const asked = await ask(commit);
      await storage.check?.(asked, options);
    },
    save: async (commit, options) => storage.save(await ask(commit), options),
    saveAll: async (commits, options) => {
      const asked: Commit<V>[] = [];
      for (const commit of commits) asked.push(await ask(commit));
      return (storage as unknown as CommitJournal<V>).saveAll(asked, options);
    },
  });
}

/**
 * The same storage, calling `hook` after each successful save; not after a conflict.
 * What the hook throws reaches the caller of `save`, though the commit is kept.
 */
export function withPostSaveHook<V, S extends CommitStorage<V>>(storage: S & CommitStorage<V>, hook: SaveHook<V>): S {
  return decorate(storage, {
    save: async (commit, options) => {
      const saved = await storage.save(commit, options);
      await hook(saved);
      return saved;
    },
    saveAll: async (commits, options) => {
      const saved = await (storage as unknown as CommitJournal<V>).saveAll(commits, options);
      for (const commit of saved) await hook(commit);
      return saved;
    },
  });
}

type Overrides<V> = Pick<CommitJournal<V>, 'save' | 'saveAll' | 'check'>;

/** A view of the storage with these methods replaced; everything else, also what we don't know of, is the storage's own. */
function decorate<V, S extends CommitStorage<V>>(storage: S & CommitStorage<V>, overrides: Overrides<V>): S {
  const journal = isJournal(storage);
  return new Proxy<S>(storage, {
    get(target, name) {
      if (name === 'save') return overrides.save;
      if (name === 'check' && overrides.check !== undefined) return overrides.check;
      if (name === 'saveAll' && journal) return overrides.saveAll;
      const member: unknown = Reflect.get(target, name, target);
      // Bound, because private fields belong to the storage and not to this view of it.
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function asCommit<V>(storage: CommitStorage<V>, input: CommitInput): Commit<V> {
  return input instanceof Commit ? (input as Commit<V>) : new Commit<V>(input, storage.codec);
}

function refusal(error: unknown): unknown {
  const plain = error instanceof Error && error.constructor === Error && !('code' in error);
  return plain && !(error instanceof HypervaultError) ? new CommitRefusedError(error.message, { cause: error }) : error;
}
