import { AbortedError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ValueCodec } from './codec.ts';
import { Commit, type CommitInput } from './commit.ts';
import { CommitOrderingError, RevisionCompactedError } from './errors.ts';
import type {
  CallOptions,
  Changes,
  ChangesOptions,
  CommitJournal,
  HeadsOptions,
  HistoryOptions,
  SaveAllOptions,
  Snapshot,
  WatchOptions,
} from './storage.ts';
import { watchJournal } from './watch.ts';

export interface MemoryStorageOptions<V> {
  /** @default the bytes are the value */
  readonly codec?: ValueCodec<V> | undefined;
}

/**
 * Keeps every version in the memory of this process: for tests, and to try things out. `stop()` forgets everything.
 *
 * @example
 * ```ts
 * const storage = new MemoryCommitStorage();
 * await storage.save({ key: 'foo', version: 1, payload: Buffer.from('{"hey":"what"}'), author: 'me' });
 * ```
 */
export class MemoryCommitStorage<V = Buffer> implements CommitJournal<V> {
  readonly codec: ValueCodec<V> | undefined;
  readonly #versions = new Map<string, Commit<V>[]>();
  /** All commits; the one with revision N stands at N − 1. */
  readonly #log: Commit<V>[] = [];
  readonly #hints = new Set<() => void>();

  constructor(options: MemoryStorageOptions<V> = {}) {
    assertKnownKeys(options, ['codec'], 'MemoryCommitStorage options');
    this.codec = options.codec;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#versions.clear();
    this.#log.length = 0;
  }

  async heads({ prefix = '', signal }: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    checkSignal(signal);
    const heads = new Map<string, Commit<V>>();
    for (const key of [...this.#versions.keys()].sort()) {
      if (key.startsWith(prefix)) heads.set(key, this.#head(key)!);
    }
    return heads;
  }

  async headsNonEmpty(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return new Map([...(await this.heads(options))].filter(([, commit]) => !commit.isEmpty));
  }

  async get(key: string, version?: number, { signal }: CallOptions = {}): Promise<Commit<V> | null> {
    checkSignal(signal);
    return (version === undefined ? this.#head(key) : this.#versions.get(key)?.[version - 1]) ?? null;
  }

  async save(commit: CommitInput, options: CallOptions = {}): Promise<Commit<V>> {
    const [saved] = await this.saveAll([commit], options);
    return saved!;
  }

  async saveAll(commits: readonly CommitInput[], { compare = {}, signal }: SaveAllOptions = {}): Promise<Commit<V>[]> {
    checkSignal(signal);
    const next = new Map<string, number>();
    const versionOf = (key: string): number => next.get(key) ?? this.#head(key)?.version ?? 0;
    for (const [key, version] of compare instanceof Map ? compare : Object.entries(compare)) {
      if (versionOf(key) !== version) throw new CommitOrderingError(key, versionOf(key), version);
    }
    const checked = commits.map((input, index) => {
      const revision = BigInt(this.#log.length + index + 1);
      const commit = new Commit<V>({ ...fields(input), revision }, this.codec);
      const expected = versionOf(commit.key) + 1;
      if (commit.version !== expected) throw new CommitOrderingError(commit.key, expected, commit.version);
      next.set(commit.key, commit.version);
      return commit;
    });
    for (const commit of checked) {
      const versions = this.#versions.get(commit.key);
      if (versions === undefined) this.#versions.set(commit.key, [commit]);
      else versions.push(commit);
      this.#log.push(commit);
    }
    for (const ring of this.#hints) ring();
    return checked;
  }

  async history(key: string, { before = Infinity, limit = 100, signal }: HistoryOptions = {}): Promise<Commit<V>[]> {
    checkSignal(signal);
    const versions = this.#versions.get(key) ?? [];
    const end = Math.max(0, Math.min(versions.length, before - 1));
    return versions.slice(Math.max(0, end - limit), end).reverse();
  }

  async changes({ after, prefix = '', limit = 1_000, signal }: ChangesOptions): Promise<Changes<V>> {
    checkSignal(signal);
    const newest = BigInt(this.#log.length);
    if (after < 0n || after > newest) throw new RevisionCompactedError(after, 0n);
    const commits: Commit<V>[] = [];
    let at = Number(after);
    for (; at < this.#log.length && commits.length < limit; at++) {
      if (this.#log[at]!.key.startsWith(prefix)) commits.push(this.#log[at]!);
    }
    return { commits, revision: BigInt(at), more: at < this.#log.length };
  }

  async revision({ signal }: CallOptions = {}): Promise<bigint> {
    checkSignal(signal);
    return BigInt(this.#log.length);
  }

  async snapshot(options: HeadsOptions = {}): Promise<Snapshot<V>> {
    return { revision: BigInt(this.#log.length), heads: await this.heads(options) };
  }

  watch(options: WatchOptions = {}): AsyncIterableIterator<Commit<V>> {
    return watchJournal(
      {
        changes: (asked) => this.changes(asked),
        revision: (signal) => this.revision({ signal }),
        onHint: (ring) => {
          this.#hints.add(ring);
          return () => this.#hints.delete(ring);
        },
      },
      options,
    );
  }

  #head(key: string): Commit<V> | undefined {
    return this.#versions.get(key)?.at(-1);
  }
}

/** The fields of a commit as a plain object, whether it is one or a {@link Commit} (whose getters don't spread). */
function fields({ key, version, payload, author, comment, mtime, empty }: CommitInput): CommitInput {
  return { key, version, payload, author, comment, mtime, empty };
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError('the call', signal.reason);
}
