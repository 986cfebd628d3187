import type { ValueCodec } from './codec.ts';
import type { Commit, CommitInput } from './commit.ts';

/** What every waiting call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface HeadsOptions extends CallOptions {
  /** Only keys that begin with this text. @default '' */
  readonly prefix?: string | undefined;
}

/**
 * Keeps every version of every key. The small interface, easy to implement over anything;
 * {@link CommitJournal} is what ours offer on top.
 */
export interface CommitStorage<V = Buffer> {
  /** How this storage's commits read their payloads; the HTTP server refuses payloads that it can't read. */
  readonly codec?: ValueCodec<V> | undefined;
  /** Takes what is needed, and makes what is missing. The other calls are undefined before. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The newest commit of every key, tombstones included. */
  heads(options?: HeadsOptions): Promise<Map<string, Commit<V>>>;
  /** The newest commit of every key that is not removed. */
  headsNonEmpty(options?: HeadsOptions): Promise<Map<string, Commit<V>>>;
  /** The newest commit of a key (a tombstone, too), or the asked version of it; `null` when there is none. */
  get(key: string, version?: number, options?: CallOptions): Promise<Commit<V> | null>;
  /**
   * Keeps one more version.
   *
   * @returns the commit as it is kept, with its time and, where the storage numbers its changes, its revision
   * @throws CommitOrderingError when `version` is not the newest one + 1; nothing is written then
   */
  save(commit: CommitInput, options?: CallOptions): Promise<Commit<V>>;
  /** Refuses, as `save` would, what hooks and schemas refuse; writes nothing. Without it nothing but the version counts. */
  check?(commit: CommitInput, options?: CallOptions): Promise<void>;
}

export interface SaveAllOptions extends CallOptions {
  /**
   * Further keys that must stand at these versions (0: never saved) for anything to be written.
   * The keys being saved are compared already by their versions.
   */
  readonly compare?: ReadonlyMap<string, number> | Readonly<Record<string, number>> | undefined;
}

export interface HistoryOptions extends CallOptions {
  /** Only versions below this one: pass the last version of a page to get the next page. */
  readonly before?: number | undefined;
  /** @default 100 */
  readonly limit?: number | undefined;
}

export interface ChangesOptions extends CallOptions {
  /** Only what happened after this revision. */
  readonly after: bigint;
  /** @default '' */
  readonly prefix?: string | undefined;
  /** @default 1000 */
  readonly limit?: number | undefined;
}

/** A page of changes. */
export interface Changes<V> {
  /** In order of their revisions; tombstones included. */
  readonly commits: readonly Commit<V>[];
  /** Everything up to here has been looked at: the `after` of the next page, also when nothing matched. */
  readonly revision: bigint;
  /** Whether the next page may be asked for at once. */
  readonly more: boolean;
}

/** The keys as they stood at one revision, from which a watch can go on without a gap. */
export interface Snapshot<V> {
  readonly revision: bigint;
  readonly heads: Map<string, Commit<V>>;
}

export interface WatchOptions extends CallOptions {
  /** Starts with what happened after this revision. @default only what happens from now on */
  readonly after?: bigint | undefined;
  /** @default '' */
  readonly prefix?: string | undefined;
  /** Told how far the watch has come, also when nothing matched the prefix: a point to resume from. */
  readonly onProgress?: ((revision: bigint) => void) | undefined;
}

/**
 * A storage that numbers its changes: each commit has a revision, one sequence over all keys, in the order in which
 * the commits became visible. So a reader that has seen revision N has missed nothing up to N.
 */
export interface CommitJournal<V = Buffer> extends CommitStorage<V> {
  /** Saves several commits, all or none. @throws CommitOrderingError for the first key that does not fit */
  saveAll(commits: readonly CommitInput[], options?: SaveAllOptions): Promise<Commit<V>[]>;
  /** Versions of one key, newest first, tombstones included. */
  history(key: string, options?: HistoryOptions): Promise<Commit<V>[]>;
  /** What happened after a revision. @throws RevisionCompactedError */
  changes(options: ChangesOptions): Promise<Changes<V>>;
  /** The newest revision. */
  revision(options?: CallOptions): Promise<bigint>;
  /** All heads, tombstones included, and the revision they stood at. */
  snapshot(options?: HeadsOptions): Promise<Snapshot<V>>;
  /**
   * Every commit after a revision, then every further one as it happens; ends when the signal fires.
   * Pulled by the reader: a slow one costs nobody memory.
   *
   * @throws RevisionCompactedError when the history after `after` is no longer whole
   */
  watch(options?: WatchOptions): AsyncIterableIterator<Commit<V>>;
}

/** Whether a storage offers what {@link CommitJournal} has beyond {@link CommitStorage}. */
export function isJournal<V>(storage: CommitStorage<V>): storage is CommitJournal<V> {
  return (['saveAll', 'history', 'changes', 'revision', 'snapshot', 'watch'] as const).every(
    (name) => typeof (storage as Partial<CommitJournal<V>>)[name] === 'function',
  );
}
