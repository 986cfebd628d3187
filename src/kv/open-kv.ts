import type { RequestListener } from 'node:http';
import { ClosedError, ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { AutoPublisher, type AutoPublisherOptions } from './auto-publisher.ts';
import type { Commit, CommitInput } from './commit.ts';
import { UnsupportedByStorageError } from './errors.ts';
import { type SaveHook, withPostSaveHook, withPreSaveHook } from './hooks.ts';
import type { CommitServerOptions } from './http/options.ts';
import { createCommitServer } from './http/server.ts';
import { jsonSchemaHook, type SchemasByPrefix } from './json-schemas.ts';
import { CommitKeeper } from './keeper.ts';
import { keeperPublishing } from './keeper-publishing.ts';
import { KvDatabase } from './kv-database.ts';
import type { CommitMirror, MirrorOptions } from './mirror.ts';
import type { PostgresKvOptions } from './options.ts';
import { PostgresCommitStorage } from './postgres-storage.ts';
import { checkRetention, type Retention } from './retention.ts';
import {
  type RollbackKeyOptions,
  type RollbackOptions,
  type RollbackStep,
  rollbackKey,
  rollbackPrefix,
} from './rollback.ts';
import {
  type CallOptions,
  type CommitJournal,
  type CommitStorage,
  type HistoryOptions,
  isJournal,
  type WatchOptions,
} from './storage.ts';
import { type UpdateOptions, updateKey } from './update.ts';

export interface KvOptions<V> extends PostgresKvOptions<V> {
  /** The journal, when it is not to be in Postgres: what is saved there is published here. @default Postgres */
  readonly storage?: CommitStorage<V> | undefined;
  /** Repairs what is published, now and then, in one process at a time. @default true */
  readonly autoPublish?: boolean | AutoPublisherOptions<V> | undefined;
  /** Forgets old versions, after each pass of the auto-publisher. @default keeps everything */
  readonly retention?: Retention | undefined;
  /** JSON Schemas by what keys begin with; payloads that don't fit are refused. Needs the package `ajv`. @default none */
  readonly schemas?: SchemasByPrefix | undefined;
  /** Asked before each save; what it throws refuses the commit. */
  readonly onBeforeSave?: SaveHook<V> | undefined;
  /** Called after each save that succeeded. */
  readonly onAfterSave?: SaveHook<V> | undefined;
}

export interface KvStatus {
  readonly table: string;
  readonly mirrors: readonly { readonly keys: number; readonly revision: bigint }[];
  /** Whether this process is the one that publishes, and how often it did; `undefined` without auto-publisher. */
  readonly publisher: { readonly leading: boolean; readonly passes: number } | undefined;
}

/**
 * Journal, keeper, mirror and auto-publisher, wired: what most programs want. Made by {@link openKv}.
 */
export class Kv<V = Buffer> {
  /** Saves here are checked by the hooks and published at once. */
  readonly storage: CommitStorage<V>;
  readonly keeper: CommitKeeper<V>;
  readonly autoPublisher: AutoPublisher<V> | undefined;
  readonly #database: KvDatabase;
  readonly #ownsDatabase: boolean;
  readonly #mirrors = new Set<CommitMirror<V>>();
  readonly #hook: (() => Promise<SaveHook<V>>) | undefined;
  #check: SaveHook<V> = () => {
    throw new ClosedError('openKv has not ended yet');
  };

  /** @internal */
  constructor({
    storage: given,
    autoPublish = true,
    retention,
    schemas,
    onBeforeSave,
    onAfterSave,
    ...options
  }: KvOptions<V>) {
    const known = ['connection', 'table', 'codec', 'install', 'logger'];
    assertKnownKeys(
      options,
      [...known, 'storage', 'autoPublish', 'retention', 'schemas', 'onBeforeSave', 'onAfterSave'],
      'openKv options',
    );
    this.#ownsDatabase = !(options.connection instanceof KvDatabase);
    this.#database =
      options.connection instanceof KvDatabase
        ? options.connection
        : new KvDatabase({ connection: connectionOf(options.connection) });
    const shared = { ...options, connection: this.#database };
    this.keeper = new CommitKeeper<V>(shared);
    const journal = given ?? new PostgresCommitStorage<V>(shared);
    const { logger } = options;
    let storage =
      given === undefined ? journal : keeperPublishing<V, CommitStorage<V>>(journal, this.keeper, { logger });
    if (onAfterSave !== undefined) storage = withPostSaveHook<V, CommitStorage<V>>(storage, onAfterSave);
    if (onBeforeSave !== undefined) storage = withPreSaveHook<V, CommitStorage<V>>(storage, onBeforeSave);
    this.#hook = schemas === undefined ? undefined : () => jsonSchemaHook<V>(schemas);
    this.storage =
      schemas === undefined ? storage : withPreSaveHook<V, CommitStorage<V>>(storage, (commit) => this.#check(commit));
    const publisher = withChores(autoPublish === true ? {} : autoPublish, retention, journal);
    this.autoPublisher = publisher === false ? undefined : new AutoPublisher<V>(journal, this.keeper, publisher);
  }

  /** @internal */
  async open(): Promise<void> {
    try {
      if (this.#hook !== undefined) this.#check = await this.#hook();
      await this.keeper.start();
      await this.storage.start();
      this.autoPublisher?.start();
    } catch (error) {
      await this.close().catch(() => {});
      throw error;
    }
  }

  /** The newest commit of a key, or the asked version; `null` when there is none. Read from the storage. */
  get(key: string, version?: number, options?: CallOptions): Promise<Commit<V> | null> {
    return this.storage.get(key, version, options);
  }

  /** The value of a key; `undefined` when it is missing or removed, or its payload is no value. */
  async value(key: string, options?: CallOptions): Promise<V | undefined> {
    return (await this.storage.get(key, undefined, options))?.valueOption;
  }

  /** @throws CommitOrderingError when the version is not the next one */
  save(commit: CommitInput, options?: CallOptions): Promise<Commit<V>> {
    return this.storage.save(commit, options);
  }

  /** Changes one key, whatever its version: see {@link updateKey}. */
  update(
    key: string,
    change: (value: V | undefined, head: Commit<V> | null) => V | null | undefined | Promise<V | null | undefined>,
    options?: UpdateOptions,
  ): Promise<Commit<V> | null> {
    return updateKey(this.storage, key, change, options);
  }

  /** Versions of one key, newest first. @throws UnsupportedByStorageError */
  history(key: string, options?: HistoryOptions): Promise<Commit<V>[]> {
    return this.journal.history(key, options);
  }

  /** Every commit as it happens: see {@link CommitJournal.watch}. @throws UnsupportedByStorageError */
  watch(options?: WatchOptions): AsyncIterableIterator<Commit<V>> {
    return this.journal.watch(options);
  }

  /** Brings an older version back as a new one: see {@link rollbackKey}. */
  rollback(key: string, version: number, options?: RollbackKeyOptions): Promise<RollbackStep[]> {
    return rollbackKey(this.journal, key, version, options);
  }

  /** Brings all keys with a prefix back to what they were: see {@link rollbackPrefix}. */
  rollbackPrefix(prefix: string, revision: bigint, options?: RollbackOptions): Promise<RollbackStep[]> {
    return rollbackPrefix(this.journal, prefix, revision, options);
  }

  /** A live map of all present keys; closed with this, or before. */
  async mirror(options?: MirrorOptions): Promise<CommitMirror<V>> {
    const mirror = await this.keeper.mirror(options);
    this.#mirrors.add(mirror);
    mirror.once('closed', () => this.#mirrors.delete(mirror));
    return mirror;
  }

  /** A request listener for `node:http` that serves these keys. */
  server(options: Omit<CommitServerOptions<V>, 'storage'> = {}): RequestListener {
    return createCommitServer<V>({ ...options, storage: this.storage });
  }

  /** The storage, with revisions, history and several keys at once. @throws UnsupportedByStorageError */
  get journal(): CommitJournal<V> {
    if (isJournal(this.storage)) return this.storage;
    throw new UnsupportedByStorageError('revisions and history');
  }

  /** How it is, as plain data. */
  status(): KvStatus {
    const mirrors = [...this.#mirrors].map(({ current, revision }) => ({ keys: current.size, revision }));
    const publisher = this.autoPublisher && { leading: this.autoPublisher.leading, passes: this.autoPublisher.passes };
    return { table: this.keeper.table, mirrors, publisher };
  }

  /** Stops publishing, following and serving. Idempotent. */
  async close(): Promise<void> {
    await this.autoPublisher?.close();
    await Promise.all([...this.#mirrors].map((mirror) => mirror.close()));
    await this.storage.stop();
    await this.keeper.stop();
    if (this.#ownsDatabase) await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens versioned settings in a Postgres database, with everything around them.
 *
 * @example
 * ```ts
 * await using kv = await openKv({ connection: 'postgres://localhost/app', codec: jsonCodec<Settings>() });
 * const mirror = await kv.mirror();
 * await kv.update('limits', (limits) => ({ ...limits, max: 9 }), { author: 'ann', comment: 'more room' });
 * mirror.current.get('limits')?.valueOption;   // a moment later, in every process
 * ```
 * @throws ConfigurationError, SchemaError, PermissionError, ServerUnavailableError
 */
export async function openKv<V = Buffer>(options: KvOptions<V>): Promise<Kv<V>> {
  const kv = new Kv<V>(options);
  await kv.open();
  return kv;
}

/** The auto-publisher's options with retention among what it does. */
function withChores<V>(
  publisher: AutoPublisherOptions<V> | false,
  retention: Retention | undefined,
  journal: CommitStorage<V>,
): AutoPublisherOptions<V> | false {
  if (retention === undefined) return publisher;
  checkRetention(retention, 'openKv: option "retention"');
  if (publisher === false || !(journal instanceof PostgresCommitStorage)) {
    throw new ConfigurationError('openKv: option "retention" needs the auto-publisher, and the journal in Postgres');
  }
  const onPass = async (signal: AbortSignal): Promise<void> => {
    await journal.retain(retention, { signal });
    await publisher.onPass?.(signal);
  };
  return { ...publisher, onPass };
}

function connectionOf<C>(connection: C | undefined): C {
  if (connection === undefined) throw new ConfigurationError('openKv: option "connection" is missing');
  return connection;
}
