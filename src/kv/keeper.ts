import { AutoPublisher, type AutoPublisherOptions } from './auto-publisher.ts';
import type { ValueCodec } from './codec.ts';
import { Commit, type CommitInput } from './commit.ts';
import { commitOfRow, hasCommit, valuesOf } from './commit-rows.ts';
import { conflictOf } from './conflict.ts';
import type { KvDatabase } from './kv-database.ts';
import { CommitMirror, type MirrorOptions } from './mirror.ts';
import { type PostgresKvOptions, type ResolvedKvOptions, resolveKvOptions } from './options.ts';
import { type CommitRow, type PublishedRow, STATEMENTS } from './statements.ts';
import type { CallOptions, CommitStorage, HeadsOptions } from './storage.ts';

/**
 * What is published: the newest commit of each present key, with instant notification. No history.
 * `PostgresCommitStorage` publishes by itself, under the same `table`; a keeper also works alone, or behind a storage
 * of another kind.
 *
 * What `save` does, by what the keeper holds of the key:
 *
 * | held | a commit with payload | a tombstone |
 * |---|---|---|
 * | nothing | published, at any version | nothing |
 * | the same commit, all fields | nothing | nothing |
 * | an older version | published; it need not be the next one | the key is removed |
 * | the same or a newer version, not identical | ConcurrentCommitError | ConcurrentCommitError |
 *
 * After a removal, a version below the journal's newest one is refused as well. (Rainer would publish it.)
 *
 * @example
 * ```ts
 * const keeper = new CommitKeeper({ connection, table: 'diary' });
 * await keeper.start();
 * const mirror = await keeper.mirror();
 * mirror.current.get('foo');
 * ```
 */
export class CommitKeeper<V = Buffer> {
  readonly codec: ValueCodec<V> | undefined;
  readonly #options: ResolvedKvOptions<V>;

  /** @throws ConfigurationError; does no I/O */
  constructor(options: PostgresKvOptions<V>) {
    this.#options = resolveKvOptions(options, 'CommitKeeper');
    this.codec = this.#options.codec;
  }

  /** @internal */
  get database(): KvDatabase {
    return this.#options.database;
  }

  /** The `table` option: what distinguishes this keeper's keys. */
  get table(): string {
    return this.#options.namespace;
  }

  /** Makes the tables when they are missing, unless told not to. */
  async start(): Promise<void> {
    const { database, install, namespace } = this.#options;
    if (install) await database.install();
    else await database.query(STATEMENTS.revision, [namespace]);
  }

  /** Ends the sessions, when they are this keeper's own. Close the mirrors first. */
  async stop(): Promise<void> {
    if (this.#options.ownsDatabase) await this.#options.database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** All present keys, as of one moment. */
  async heads({ prefix = '', signal }: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    const { database, namespace, codec } = this.#options;
    const rows = await database.query<PublishedRow>(STATEMENTS.published, [namespace, 0n, prefix], { signal });
    const commits = rows.filter(hasCommit).map((row) => commitOfRow(row, codec));
    return new Map(commits.map((commit) => [commit.key, commit] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** What is published of a key; `null` when it is absent or removed. */
  async get(key: string, { signal }: CallOptions = {}): Promise<Commit<V> | null> {
    const { database, namespace, codec } = this.#options;
    const [row] = await database.query<CommitRow>(STATEMENTS.publishedKey, [namespace, key], { signal });
    return row === undefined ? null : commitOfRow(row, codec);
  }

  /**
   * Publishes a commit, by the table above. Safe to repeat.
   *
   * @returns whether anything changed
   * @throws ConcurrentCommitError
   */
  async save(input: CommitInput, { signal }: CallOptions = {}): Promise<boolean> {
    const { database, namespace, codec } = this.#options;
    const commit = input instanceof Commit ? (input as Commit<V>) : new Commit<V>(input, codec);
    const values = [namespace, ...valuesOf(commit)];
    const rows = await database
      .query<{ changed: boolean }>(STATEMENTS.publish, values, { signal, writes: true })
      .catch((error) => {
        throw conflictOf(error, [commit]);
      });
    return rows[0]!.changed;
  }

  /**
   * A live map of all present keys. Resolves when it is complete; it goes on following until it is closed.
   *
   * @throws SchemaError, AbortedError; a server that is away is waited for
   */
  async mirror({ prefix = '', signal }: MirrorOptions = {}): Promise<CommitMirror<V>> {
    const mirror = new CommitMirror<V>(this.#options, prefix);
    await mirror.open(signal);
    return mirror;
  }

  /** Publishes everything of a storage now and then: see {@link AutoPublisher}. */
  autoPublisher(storage: CommitStorage<V>, options: AutoPublisherOptions<V> = {}): AutoPublisher<V> {
    return new AutoPublisher<V>(storage, this, options);
  }

  /** @internal Has everyone look again who may have missed a notification. */
  async signalAll({ signal }: CallOptions = {}): Promise<void> {
    await this.database.query(STATEMENTS.notify, [this.table], { signal });
  }
}
