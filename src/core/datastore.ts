import { ClosedError } from '../errors.ts';
import { abortable } from '../internal/abortable.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import { type AcrossOptions, type AcrossResult, across } from './across.ts';
import { Caller } from './caller.ts';
import { type ConnectionEntry, shardMapOf } from './connection-entry.ts';
import type { Cursor, TransactionOptions } from './cursor.ts';
import { Entities, type RemoveOptions, type UpdateOptions } from './entities.ts';
import type { Body, Entity } from './entity.ts';
import { type FindOptions, type ScanOptions, scanEntities } from './entity-scan.ts';
import { type FanOutOptions, type FanOutResult, fanOut } from './fan-out.ts';
import { Key } from './key.ts';
import type { FieldCodecs, Kind } from './kind.ts';
import { LentCursors } from './lent-cursors.ts';
import { type DatastoreOptions, type ResolvedDatastoreOptions, resolveDatastoreOptions } from './options.ts';
import { Repository } from './repository.ts';
import { shardFor } from './routing.ts';
import { schemaName } from './schema-name.ts';
import type { Server, ServerStats } from './server.ts';
import { Servers } from './servers.ts';
import type { ShardMap } from './shard-map.ts';
import { isShardMapSource, type ShardMapSource, staticShardMapSource } from './shard-map-source.ts';
import { ShardPool } from './shard-pool.ts';
import { Table, type TableOptions } from './table.ts';
import { TableShards } from './table-shards.ts';
import { transact } from './transact.ts';
import type { Waiting } from './waiting.ts';

/**
 * A datastore spread over many Postgres servers: logical shards, each a schema, placed in ranges on the servers.
 * The constructor does no I/O; sessions are opened when they are needed.
 *
 * @typeParam Database - the user's tables: names mapped to row types
 *
 * @example
 * ```ts
 * const db = new Datastore([
 *   { host: 'db1', database: 'app', shards: '1-9' },
 *   { host: 'db2', database: 'app', shards: '9-17' },
 * ]);
 * const key = await db.put(12, 1, { beep: 'boop' });
 * const entity = await db.get(key);
 * await db.disconnect();
 * ```
 */
export class Datastore<Database extends object = Record<string, Record<string, unknown>>> {
  readonly #source: ShardMapSource;
  readonly #options: ResolvedDatastoreOptions;
  readonly #lent = new LentCursors();
  #servers: Servers;
  #entities: Entities;
  #closed: Promise<void> | undefined;
  #reopening: Promise<void> | undefined;

  /**
   * @param connections - one entry per server, or a source of maps that change
   * @throws ConfigurationError, ShardRangeError
   */
  constructor(connections: readonly ConnectionEntry[] | ShardMapSource, options?: DatastoreOptions) {
    this.#options = resolveDatastoreOptions(options);
    this.#source = isShardMapSource(connections) ? connections : staticShardMapSource(shardMapOf(connections));
    this.#servers = new Servers(this.#source, this.#options);
    this.#entities = new Entities(this.#servers, this.#options.epoch);
  }

  /** Which server holds which shard, as known now. */
  get map(): ShardMap {
    return this.#source.current;
  }

  /** Ms since 1970 that ids count from. */
  get epoch(): number {
    return this.#options.epoch;
  }

  /** Asks for the newest shard map, after a shard was not found where {@link map} says. */
  refreshMap({ signal }: Waiting = {}): Promise<ShardMap> {
    return this.#source.refresh({ signal });
  }

  /** The endpoint that the pool of a server stands on, for modules that listen there. @internal */
  endpointOf(serverName: string): Endpoint | undefined {
    return this.#servers.all.find(({ name }) => name === serverName)?.endpoint;
  }

  /**
   * Reads an entity. Concurrent calls for one server travel together; each keeps its own result and error.
   *
   * @returns the entity, or `null` when there is none under this key
   * @throws InvalidArgumentError for anything but a Key, UnknownShardError, PoolTimeoutError, QueueFullError
   */
  get(key: Key, waiting?: Waiting): Promise<Entity | null> {
    // Not async, and nothing taken apart: this is the hottest call of all.
    try {
      const found = this.#open().get(key);
      return waiting?.signal === undefined ? found : abortable(found, waiting.signal, 'get');
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Reads many entities, in the order of the keys; `null` where there is none. */
  async getMany(keys: readonly Key[], { signal }: Waiting = {}): Promise<(Entity | null)[]> {
    return abortable(this.#open().getMany(keys), signal, 'getMany');
  }

  /**
   * Writes a new entity. Concurrent calls for one server share a transaction; each keeps its own result and error.
   *
   * With a `key` from {@link reserveKeys} the call may be repeated after a lost reply: the same body again is no error
   * and is stored once, another one is a `KeyConflictError`.
   *
   * @param kind - a smallint, stored beside the body
   * @throws InvalidBodyError naming the field, UnknownShardError, OutcomeUnknownError when the reply to an unkeyed put
   *   was lost
   */
  async put(
    shardId: number,
    kind: number,
    body: Body,
    { key, signal }: Waiting & { readonly key?: Key | undefined } = {},
  ): Promise<Key> {
    return abortable(this.#open().put(shardId, kind, body, key, signal), signal, 'put');
  }

  /** Writes many new entities into one shard, all or none; keys come in the order of the bodies. */
  async putMany(shardId: number, kind: number, bodies: readonly Body[], { signal }: Waiting = {}): Promise<Key[]> {
    return abortable(this.#open().putMany(shardId, kind, bodies, signal), signal, 'putMany');
  }

  /**
   * Sets fields of an entity, or replaces its body.
   *
   * @returns the entity as it is now, or `null` when there is none
   * @throws VersionConflictError when `ifUnchangedSince` is given and the entity is newer
   */
  async update(key: Key, changes: Body, options: UpdateOptions & Waiting = {}): Promise<Entity | null> {
    return abortable(this.#open().update(key, changes, options), options.signal, 'update');
  }

  /**
   * Removes an entity.
   *
   * @returns whether there was one
   * @throws VersionConflictError when `ifUnchangedSince` is given and the entity is newer
   */
  async remove(key: Key, options: RemoveOptions & Waiting = {}): Promise<boolean> {
    return abortable(this.#open().remove(key, options), options.signal, 'remove');
  }

  /**
   * Lends a connection for work on one shard, until {@link putConnection}. Prefer {@link withCursor}, which can't
   * forget to give it back.
   *
   * @throws PoolTimeoutError, QueueFullError, UnknownShardError
   */
  async getConnection(shardId: number, { signal }: Waiting = {}): Promise<Cursor> {
    this.#open();
    return this.#lent.lend(this.#servers, shardId, signal);
  }

  /**
   * Takes a connection back. One that is broken or inside an open transaction is destroyed, never lent again.
   *
   * @param options.broken - destroy it in any case
   * @throws ConnectionNotLentError when it was given back already, or was never lent by this Datastore
   */
  async putConnection(connection: Cursor, { broken = false }: { broken?: boolean } = {}): Promise<void> {
    return this.#lent.takeBack(connection, { broken });
  }

  /**
   * Lends a cursor for the length of the callback. The signal ends the wait for a client, not `fn`; statements of `fn` have
   * no time-out but the server's own.
   *
   * @throws what `fn` throws; ShardMovedError when the shard moved meanwhile, retryable when nothing of it was kept
   * @example
   * ```ts
   * const rows = await db.withCursor(5, async (cursor) => (await cursor.query('select * from orders')).rows);
   * ```
   */
  async withCursor<T>(shardId: number, fn: (cursor: Cursor) => Promise<T>, { signal }: Waiting = {}): Promise<T> {
    this.#open();
    return this.#lent.during(this.#servers, shardId, signal, fn);
  }

  /**
   * Runs a transaction on one shard. Serialization failures, deadlocks (40001, 40P01) and a shard that moved meanwhile
   * are tried again, so `fn` must do nothing outside the database that can't be done twice.
   *
   * @param options.maxRetries - how often it is tried again. @default 3
   * @throws OutcomeUnknownError when the session is lost while COMMIT is under way; that is never tried again
   */
  async transaction<T>(
    shardId: number,
    fn: (cursor: Cursor) => Promise<T>,
    options: TransactionOptions & Waiting & { readonly maxRetries?: number | undefined } = {},
  ): Promise<T> {
    return transact((run) => this.withCursor(shardId, run, options), fn, options);
  }

  /**
   * Reserves ids ahead in one round trip, for puts that are safe to repeat.
   *
   * @param count - 1 to 65536
   */
  async reserveKeys(shardId: number, count: number, { signal }: Waiting = {}): Promise<Key[]> {
    this.#open();
    const reserve = (server: Server): Promise<bigint[]> => server.entities.reserveIds(shardId, count, signal);
    const ids = await this.#servers.moved.retry(shardId, reserve);
    return ids.map((id) => new Key(id, { epoch: this.#options.epoch }));
  }

  /**
   * A table of the user's that is in every shard.
   *
   * @example
   * ```ts
   * interface Database { orders: { id: bigint; total: string } }
   * const db = new Datastore<Database>(connections);
   * const order = await db.table('orders').get(id);
   * ```
   */
  table<Name extends keyof Database & string>(
    name: Name,
    { by = 'id', versionColumn }: TableOptions<Database[Name]> = {},
  ): Table<Database[Name] & object> {
    this.#open();
    const how = { prefix: this.#options.schemaPrefix, by, versionColumn };
    return new Table(name, new TableShards(() => this.#servers, name, how), by);
  }

  /** One shard with the shape of node-postgres' pool, for Kysely, Drizzle and plain `pg` code. */
  pool(shardId: number): ShardPool {
    this.#open();
    this.#servers.of(shardId);
    return new ShardPool(shardId, {
      lend: () => this.getConnection(shardId),
      giveBack: (cursor, broken) => this.putConnection(cursor, { broken }),
    });
  }

  /**
   * Looks for entities on many shards; they come one by one, in the order of their ids.
   *
   * @example
   * ```ts
   * for await (const { key, body } of db.find({ kind: 1, contains: { country: 'IT' }, limit: 10 })) console.log(key, body);
   * ```
   */
  find(options: FindOptions = {}): AsyncGenerator<Entity, void, undefined> {
    this.#open();
    const how = { epoch: this.#options.epoch, prefixed: (id: number) => this.schemaOf(id), maxConcurrent: this.#pages };
    return scanEntities(this.#servers, how, options);
  }

  /** Reads all entities of many shards, or those of a kind or a time, in the order of their ids and in bounded memory. */
  scan(options: ScanOptions = {}): AsyncGenerator<Entity, void, undefined> {
    return this.find(options);
  }

  /**
   * Runs `fn` on many shards: servers side by side, each shard with a cursor of its own.
   *
   * @throws ShardFailuresError unless `onError` is `'partial'`
   */
  async fanOut<T>(
    shards: readonly number[],
    fn: (cursor: Cursor) => Promise<T>,
    options: FanOutOptions = {},
  ): Promise<FanOutResult<T>> {
    this.#open();
    return fanOut(this.#servers, shards, fn, options, this.#options.poolMax);
  }

  /**
   * Runs one statement on many shards and puts the rows together: ordered, limited, combined.
   *
   * @example
   * ```ts
   * const { rows } = await db.across('select city, count(*) as n from orders where total > $1 group by city', [100], {
   *   combine: { n: 'count' }, orderBy: { column: 'n', descending: true }, limit: 10,
   * });
   * ```
   */
  async across<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
    options: AcrossOptions = {},
  ): Promise<AcrossResult<Row>> {
    this.#open();
    return across<Row>(this.#servers, text, values, options, this.#options.poolMax);
  }

  /** Pages of a scan that are fetched at the same time. */
  get #pages(): number {
    return Math.max(1, this.#servers.all.length * Math.min(4, this.#options.poolMax));
  }

  /**
   * The entities of one kind, with typed fields.
   *
   * @example
   * ```ts
   * const User = defineKind({ id: 2, name: 'user', fields: { name: field.string, age: field.int } });
   * const users = db.repository(User);
   * const key = await users.put(12, { name: 'Ada', age: 36 });
   * ```
   */
  repository<Fields extends FieldCodecs>(kind: Kind<Fields>): Repository<Fields> {
    return new Repository(kind, this);
  }

  /**
   * A caller whose reads standbys may answer, within `maxReplicaLagMs`, and who always sees what it wrote itself.
   *
   * @param token - what the caller wrote before, from {@link Caller.token}
   * @throws InvalidArgumentError for a token that none gave out
   */
  caller(token = ''): Caller {
    this.#open();
    return new Caller(this as unknown as Datastore, () => this.#servers, token);
  }

  /**
   * The shard a routing key lives in. The first server that is met tells how many slots there are, so call
   * {@link connect} before, or give `slots` and `firstShard`; a datastore of `open()` knows.
   *
   * @throws ConfigurationError when slots are not known
   */
  shardFor(routingKey: string): number {
    return shardFor(routingKey, this.#servers.requireRouting());
  }

  /** The schema of a shard, e.g. `shard0005`; not quoted. */
  schemaOf(shardId: number): string {
    return schemaName(this.#options.schemaPrefix, shardId);
  }

  /** Makes {@link shardFor} answer, by asking some of the servers unless the options say it. @internal */
  async learnRouting({ signal }: Waiting = {}): Promise<void> {
    this.#open();
    await abortable(this.#servers.learnRouting(), signal, 'learnRouting');
  }

  /** Opens a first session with every server and checks that each is the one it should be. */
  async connect({ signal }: Waiting = {}): Promise<this> {
    this.#open();
    await abortable(Promise.all(this.#servers.all.map((server) => server.facts())), signal, 'connect');
    return this;
  }

  /** Counters per server; those of standbys under `name (standby)`. */
  stats(): Record<string, ServerStats> {
    const { all, standbys } = this.#servers;
    return Object.fromEntries([
      ...all.map((server) => [server.name, server.stats]),
      ...standbys.map((server) => [`${server.name} (standby)`, server.stats]),
    ]);
  }

  /**
   * Closes every client of every pool; waits for lent ones up to `deadlineMs`, then cuts them.
   *
   * @param options.deadlineMs @default 10000
   */
  disconnect({ deadlineMs = 10_000 }: { deadlineMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#servers.close(deadlineMs);
    return this.#closed;
  }

  /** Makes the pools again after {@link disconnect}. */
  reinstantiate(): Promise<void> {
    // Asked for twice it is done once: the first pools would be forgotten with their sessions open.
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<void> {
    await this.disconnect();
    this.#servers = new Servers(this.#source, this.#options);
    this.#entities = new Entities(this.#servers, this.#options.epoch);
    this.#closed = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  #open(): Entities {
    if (this.#closed !== undefined) {
      throw new ClosedError('the datastore is disconnected; call reinstantiate() to use it again');
    }
    return this.#entities;
  }
}
