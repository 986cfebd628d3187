import { AbortedError, HypervaultError, InvalidArgumentError, OutcomeUnknownError } from '../errors.ts';
import { abortable } from '../internal/abortable.ts';
import { isConnectionLoss } from '../internal/sqlstate.ts';
import type { Cursor, TransactionOptions } from './cursor.ts';
import type { Datastore } from './datastore.ts';
import type { RemoveOptions, UpdateOptions } from './entities.ts';
import { checkedKey } from './entities.ts';
import type { Body, Entity } from './entity.ts';
import type { Key } from './key.ts';
import { lsnOf, type Replica } from './replica.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';
import type { Waiting } from './waiting.ts';
import { type Lsn, WriteToken } from './write-token.ts';

/**
 * One caller – a user's session, say – whose reads may be answered by standbys, and who always sees what it wrote itself.
 * Made by `db.caller()`; costs nothing to make.
 *
 * A read goes to a standby when that is known to be younger than `maxReplicaLagMs` and to have replayed this caller's
 * last write; else to the primary. {@link token} carries what it wrote to the next process: into a cookie, for example.
 *
 * @example
 * ```ts
 * const caller = db.caller(request.cookies.writes);
 * await caller.put(12, 1, { beep: 'boop' });
 * const entity = await caller.get(key);         // sees the put, wherever it is answered
 * response.cookie('writes', caller.token);
 * ```
 */
export class Caller {
  readonly #db: Datastore;
  readonly #servers: () => Servers;
  readonly #token: WriteToken;

  /** @internal use `db.caller()` */
  constructor(db: Datastore, servers: () => Servers, token: string) {
    this.#db = db;
    this.#servers = servers;
    this.#token = WriteToken.parse(token);
  }

  /** What this caller has written, as text, for `db.caller(token)` here or in another process. */
  get token(): string {
    return this.#token.toString();
  }

  /** Like `db.get`, from a standby where one is fresh enough. */
  get(key: Key, waiting: Waiting = {}): Promise<Entity | null> {
    const { shardId } = checkedKey(key);
    const { signal } = waiting;
    return this.#either(
      shardId,
      signal,
      ({ server }) =>
        abortable(
          server.read(server.entities.reads(shardId), key.id.toString()) as Promise<Entity | null>,
          signal,
          'get',
        ),
      () => this.#db.get(key, waiting),
    );
  }

  /** Like `db.getMany`, each from a standby where one is fresh enough. */
  getMany(keys: readonly Key[], waiting: Waiting = {}): Promise<(Entity | null)[]> {
    return Promise.all(keys.map((key) => this.get(key, waiting)));
  }

  /** Lends a cursor for reading: of a standby where one is fresh enough. `fn` may be run twice, when a standby fails. */
  read<T>(shardId: number, fn: (cursor: Cursor) => Promise<T>, waiting: Waiting = {}): Promise<T> {
    return this.#either(
      shardId,
      waiting.signal,
      ({ server }) => lent(server, shardId, fn, waiting.signal),
      () => this.#db.withCursor(shardId, fn, waiting),
    );
  }

  put(...[shardId, kind, body, options]: Parameters<Datastore['put']>): Promise<Key> {
    return this.#noted(shardId, this.#db.put(shardId, kind, body, options));
  }

  putMany(...[shardId, kind, bodies, waiting]: Parameters<Datastore['putMany']>): Promise<Key[]> {
    return this.#noted(shardId, this.#db.putMany(shardId, kind, bodies, waiting));
  }

  update(key: Key, changes: Body, options?: UpdateOptions & Waiting): Promise<Entity | null> {
    return this.#noted(checkedKey(key).shardId, this.#db.update(key, changes, options));
  }

  remove(key: Key, options?: RemoveOptions & Waiting): Promise<boolean> {
    return this.#noted(checkedKey(key).shardId, this.#db.remove(key, options));
  }

  /** Like `db.withCursor`, on the primary, and noted as a write. */
  write<T>(shardId: number, fn: (cursor: Cursor) => Promise<T>, waiting: Waiting = {}): Promise<T> {
    return this.#noted(shardId, this.#db.withCursor(shardId, fn, waiting));
  }

  /** Like `db.transaction`, on the primary, and noted as a write. */
  transaction<T>(
    shardId: number,
    fn: (cursor: Cursor) => Promise<T>,
    options?: TransactionOptions & Waiting & { readonly maxRetries?: number | undefined },
  ): Promise<T> {
    return this.#noted(shardId, this.#db.transaction(shardId, fn, options));
  }

  async #either<T>(
    shardId: number,
    signal: AbortSignal | undefined,
    onStandby: (replica: Replica) => Promise<T>,
    onPrimary: () => Promise<T>,
  ): Promise<T> {
    const replica = this.#servers().replicaFor(shardId, this.#token);
    if (replica === undefined) return onPrimary();
    try {
      return await onStandby(replica);
    } catch (error) {
      if (signal?.aborted) throw new AbortedError('a read', signal.reason);
      if (error instanceof InvalidArgumentError) throw error;
      // A conflict with what the standby replays, a session that was cut: the primary has the answer.
      replica.doubt();
      return onPrimary();
    }
  }

  async #noted<T>(shardId: number, write: Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await write;
    } catch (error) {
      // What failed may have written: a callback before it threw, a write whose reply was lost. Others never got there.
      if (error instanceof OutcomeUnknownError || isConnectionLoss(error)) this.#note(shardId, NEVER);
      else if (!(error instanceof HypervaultError)) await this.#noteEndOfLog(shardId);
      throw error;
    }
    await this.#noteEndOfLog(shardId);
    return result;
  }

  /** A later place than that of the commit: all the better. When it can't be had, no standby ever will be behind it. */
  async #noteEndOfLog(shardId: number): Promise<void> {
    const server = this.#servers().of(shardId);
    const lsn = await lsnOf(server, 'select pg_current_wal_insert_lsn()::text').catch(() => NEVER);
    this.#token.note(server.name, lsn, this.#servers().map.epoch);
  }

  #note(shardId: number, lsn: Lsn): void {
    const servers = this.#servers();
    this.#token.note(servers.of(shardId).name, lsn, servers.map.epoch);
  }
}

const NEVER = (1n << 63n) - 1n;

async function lent<T>(
  server: Server,
  shardId: number,
  fn: (cursor: Cursor) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const cursor = await server.lend(shardId, signal);
  try {
    return await fn(cursor);
  } finally {
    await server.pool.release(cursor.revoke());
  }
}
