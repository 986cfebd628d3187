import { ClosedError } from '../errors.ts';
import { linkSignals } from '../internal/link-signals.ts';
import type { ValueCodec } from './codec.ts';
import { Commit, type CommitInput } from './commit.ts';
import { commitOfRow, hasCommit, valuesOf, withRevision } from './commit-rows.ts';
import { conflictOf } from './conflict.ts';
import { RevisionCompactedError } from './errors.ts';
import { KeyTurns } from './key-turns.ts';
import type { KvDatabase } from './kv-database.ts';
import { onChange } from './on-change.ts';
import { type PostgresKvOptions, type ResolvedKvOptions, resolveKvOptions } from './options.ts';
import { checkRetention, type Retention, retain } from './retention.ts';
import { SaveQueue } from './save-queue.ts';
import { type ChangesRow, type CommitRow, type NewestRow, STATEMENTS } from './statements.ts';
import { stopController } from './stop-signal.ts';
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
import { writeOnce } from './write-once.ts';

/** A watch looks this often although nothing was heard; the listening session catches up by itself as well. */
const WATCH_POLL_MS = 30_000;

/**
 * Keeps every version in Postgres and publishes the newest ones in the same transaction.
 * Follows its primary through a failover; a save whose reply was lost is looked up and, if need be, done again.
 *
 * @example
 * ```ts
 * const storage = new PostgresCommitStorage({ connection: { host: 'db1', database: 'app' }, table: 'diary' });
 * await storage.start();
 * await storage.save({ key: 'foo', version: 1, payload: Buffer.from('{"hey":"what"}'), author: 'me', comment: '' });
 * await storage.stop();
 * ```
 */
export class PostgresCommitStorage<V = Buffer> implements CommitJournal<V> {
  readonly codec: ValueCodec<V> | undefined;
  readonly #options: ResolvedKvOptions<V>;
  readonly #namespace: string;
  readonly #queue: SaveQueue;
  readonly #turns = new KeyTurns();
  #started = false;
  #stop = stopController();

  /** @throws ConfigurationError; does no I/O */
  constructor(options: PostgresKvOptions<V>) {
    this.#options = resolveKvOptions(options, 'PostgresCommitStorage');
    this.#namespace = this.#options.namespace;
    this.#queue = new SaveQueue(this.#options.database, this.#namespace);
    this.codec = this.#options.codec;
  }

  /** Makes the tables when they are missing, unless told not to. @throws SchemaError, PermissionError, … */
  async start(): Promise<void> {
    const { database, install } = this.#options;
    if (install) await database.install();
    else await database.query(STATEMENTS.revision, [this.#namespace]);
    this.#started = true;
    this.#stop = stopController();
  }

  /** Ends the watches, and the sessions after the work in hand. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#stop.abort();
    await this.#turns.idle();
    await this.#queue.idle();
    if (this.#options.ownsDatabase) await this.#options.database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async heads(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return (await this.snapshot(options)).heads;
  }

  async headsNonEmpty(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return new Map([...(await this.heads(options))].filter(([, commit]) => !commit.isEmpty));
  }

  async get(key: string, version?: number, { signal }: CallOptions = {}): Promise<Commit<V> | null> {
    if (version !== undefined && !(version > 0 && version < 2 ** 31)) return null;
    const [row] = await (version === undefined
      ? this.#database.query<CommitRow>(STATEMENTS.getNewest, [this.#namespace, key], { signal })
      : this.#database.query<CommitRow>(STATEMENTS.getVersion, [this.#namespace, key, version], { signal }));
    return row === undefined ? null : this.#commitOf(row);
  }

  async save(input: CommitInput, { signal }: CallOptions = {}): Promise<Commit<V>> {
    const commit = new Commit<V>(input, this.codec);
    const database = this.#database;
    // The next version of a key would be refused while this one is being sent again.
    const save = (): Promise<Commit<V>> =>
      writeOnce({
        attempt: async () => withRevision(commit, await this.#queue.save(commit, signal), this.codec),
        readBack: () => this.#readBack(commit, signal),
        withinMs: database.waitTimeoutMs,
        signal,
      });
    return this.#turns.run(commit.key, signal, save);
  }

  async saveAll(inputs: readonly CommitInput[], { compare = {}, signal }: SaveAllOptions = {}): Promise<Commit<V>[]> {
    const commits = inputs.map((input) => new Commit<V>(input, this.codec));
    if (commits.length === 0) return [];
    const compared = new Map(compare instanceof Map ? compare : Object.entries(compare));
    const database = this.#database;
    const columns = commits.map(valuesOf);
    const values = [
      this.#namespace,
      ...[0, 1, 2, 3, 4, 5].map((column) => columns.map((row) => row[column])),
      [...compared.keys()],
      [...compared.values()],
    ];
    return writeOnce({
      attempt: async () => {
        const rows = await database
          .query<{ revisions: string[] }>(STATEMENTS.saveAll, values, { signal, writes: true })
          .catch((error) => {
            throw conflictOf(error, commits, compared);
          });
        return commits.map((commit, index) => withRevision(commit, rows[0]!.revisions[index]!, this.codec));
      },
      readBack: async () => {
        const found = await Promise.all(commits.map((commit) => this.#readBack(commit, signal)));
        return found.every((commit) => commit !== undefined) ? found : undefined;
      },
      withinMs: database.waitTimeoutMs,
      signal,
    });
  }

  async history(key: string, { before = 2 ** 31 - 1, limit = 100, signal }: HistoryOptions = {}): Promise<Commit<V>[]> {
    const values = [this.#namespace, key, before, limit];
    const rows = await this.#database.query<CommitRow>(STATEMENTS.history, values, { signal });
    return rows.map((row) => this.#commitOf(row));
  }

  async changes({ after, prefix = '', limit = 1_000, signal }: ChangesOptions): Promise<Changes<V>> {
    const values = [this.#namespace, after, prefix, limit];
    const rows = await this.#database.query<ChangesRow>(STATEMENTS.changes, values, { signal });
    const newest = BigInt(rows[0]?.newest ?? 0);
    const compactedThrough = BigInt(rows[0]?.compacted_through ?? 0);
    if (after < compactedThrough || after > newest) throw new RevisionCompactedError(after, compactedThrough);
    const commits = rows.filter(hasCommit).map((row) => this.#commitOf(row));
    const more = commits.length >= limit;
    return { commits, revision: more ? commits.at(-1)!.revision! : newest, more };
  }

  async revision({ signal }: CallOptions = {}): Promise<bigint> {
    const rows = await this.#database.query<{ revision: string }>(STATEMENTS.revision, [this.#namespace], { signal });
    return BigInt(rows[0]?.revision ?? 0);
  }

  async snapshot({ prefix = '', signal }: HeadsOptions = {}): Promise<Snapshot<V>> {
    const rows = await this.#database.query<NewestRow>(STATEMENTS.newest, [this.#namespace, prefix], { signal });
    const heads = new Map(rows.filter(hasCommit).map((row) => [row.key, this.#commitOf(row)]));
    return { revision: BigInt(rows[0]!.newest), heads };
  }

  watch(options: WatchOptions = {}): AsyncIterableIterator<Commit<V>> {
    return this.#watch(this.#database, this.#stop.signal, options);
  }

  async *#watch(database: KvDatabase, stopped: AbortSignal, options: WatchOptions): AsyncGenerator<Commit<V>> {
    using either = linkSignals([options.signal, stopped]);
    const source = {
      changes: (asked: ChangesOptions) => this.changes(asked),
      revision: (signal: AbortSignal | undefined) => this.revision({ signal }),
      onHint: (ring: () => void) => onChange(database, this.#namespace, ring),
      pollMs: WATCH_POLL_MS,
    };
    yield* watchJournal(source, { ...options, signal: either.signal });
  }

  /**
   * Forgets all versions up to a revision except the newest of each key, tombstones included. Watches can't begin
   * before it any more.
   *
   * @returns how many commits are gone
   */
  async compact(through: bigint, { signal }: CallOptions = {}): Promise<number> {
    const values = [this.#namespace, through];
    const [row] = await this.#database.query<{ gone: string }>(STATEMENTS.compact, values, { signal, writes: true });
    return Number(row!.gone);
  }

  /**
   * Forgets old versions by their number or their age, never the newest one of a key: see {@link Retention}.
   *
   * @returns how many versions are gone, or would be
   */
  async retain(
    retention: Retention,
    { dryRun = false, signal }: CallOptions & { readonly dryRun?: boolean | undefined } = {},
  ): Promise<number> {
    checkRetention(retention, 'retain');
    return retain(this.#database, this.#namespace, retention, { dryRun, signal });
  }

  get #database(): KvDatabase {
    if (!this.#started) throw new ClosedError('PostgresCommitStorage: start() it first');
    return this.#options.database;
  }

  async #readBack(commit: Commit<V>, signal: AbortSignal | undefined): Promise<Commit<V> | undefined> {
    const stored = await this.get(commit.key, commit.version, { signal });
    return stored?.equals(commit) ? stored : undefined;
  }

  #commitOf(row: CommitRow): Commit<V> {
    return commitOfRow(row, this.codec);
  }
}
