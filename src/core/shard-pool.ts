import type { Client, QueryResult } from 'pg';
import { InvalidArgumentError } from '../errors.ts';
import type { Cursor } from './cursor.ts';
import { factsOf } from './session.ts';

/** A client as `connect()` of node-postgres' pool hands it out. */
export interface ShardPoolClient extends Client {
  /** Gives the client back; with an error, or `true`, it is destroyed instead. */
  release(error?: Error | boolean): void;
}

/** What a {@link ShardPool} needs of the datastore. */
export interface ShardPoolHost {
  lend(): Promise<Cursor>;
  giveBack(cursor: Cursor, broken: boolean): Promise<void>;
}

/**
 * One shard with the shape of node-postgres' pool, so that query builders and plain `pg` code run on it: unqualified
 * names are found in the shard's schema.
 *
 * @example
 * ```ts
 * const shard = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: db.pool(5) }) });
 * const same = drizzle(db.pool(5) as unknown as pg.Pool); // its types ask for the class itself
 * ```
 */
export class ShardPool {
  readonly shardId: number;
  readonly #host: ShardPoolHost;

  /** @internal use `db.pool()` */
  constructor(shardId: number, host: ShardPoolHost) {
    this.shardId = shardId;
    this.#host = host;
  }

  /** Lends a client until its `release()`. */
  async connect(): Promise<ShardPoolClient> {
    const cursor = await this.#host.lend();
    try {
      return lentClient(cursor, await cursor.rawClient(), (broken) => this.#host.giveBack(cursor, broken));
    } catch (error) {
      await this.#host.giveBack(cursor, true);
      throw error;
    }
  }

  /** Runs one statement: `query(text, values)` or `query({ text, values, rowMode, types … })`. */
  async query(config: string | { readonly text: string }, values?: readonly unknown[]): Promise<QueryResult> {
    const client = await this.connect();
    try {
      const result = await client.query(config as never, values as never);
      client.release();
      return result as unknown as QueryResult;
    } catch (error) {
      client.release();
      throw error;
    }
  }

  /** Refused: the clients are the datastore's. */
  async end(): Promise<never> {
    throw new InvalidArgumentError('the pool of a shard is the datastore’s and can’t be ended; call db.disconnect()');
  }
}

/**
 * The client as its borrower sees it: dead once released, and, behind a transaction-mode pooler, with every statement
 * inside a transaction that has found the shard's schema first.
 */
function lentClient(cursor: Cursor, client: Client, giveBack: (broken: boolean) => Promise<void>): ShardPoolClient {
  let released = false;
  const release = (error?: Error | boolean): void => {
    if (released) throw new InvalidArgumentError('this client was released already');
    released = true;
    void giveBack(Boolean(error));
  };
  const { pooled } = factsOf(client);
  return new Proxy(client, {
    get(target, property) {
      if (property === 'release') return release;
      if (released) throw new InvalidArgumentError('this client was released; connect() lends another');
      if (property === 'query' && pooled) return cursor.pooledQuery.bind(cursor);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as ShardPoolClient;
}
