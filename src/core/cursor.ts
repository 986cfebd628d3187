import type { Client, CustomTypesConfig, QueryArrayConfig, QueryArrayResult, QueryResult, QueryResultRow } from 'pg';
import PgCursor from 'pg-cursor';
import { ClosedError, OutcomeUnknownError } from '../errors.ts';
import { lossOf } from '../internal/client-guard.ts';
import { quoteIdentifier, quoteLiteral } from '../internal/quote.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { isConnectionLoss } from '../internal/sqlstate.ts';
import type { Observer } from './observe.ts';
import { AS_OPENED, factsOf } from './session.ts';

/** How a transaction runs. */
export interface TransactionOptions {
  /** @default the server's default, which is `read committed` */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable' | undefined;
  readonly readOnly?: boolean | undefined;
}

/** Rows a stream fetches with one round trip. */
const STREAM_ROWS = 500;

/**
 * A client lent to work on one shard: unqualified names are found in the shard's schema first.
 * Dead once it was given back.
 */
export class Cursor {
  readonly shardId: number;
  /** E.g. `shard0005`; not quoted. */
  readonly schema: string;
  readonly #client: Client;
  readonly #observer: Observer;
  #placed: Promise<unknown> | undefined;
  #inTransaction = false;
  #dead = false;
  #keptWork = false;

  constructor(client: Client, shardId: number, schema: string, observer: Observer) {
    this.#client = client;
    this.shardId = shardId;
    this.schema = schema;
    this.#observer = observer;
  }

  /**
   * Runs a statement with bound values. Result and types are node-postgres' own, hstore parsed into objects.
   *
   * @example
   * ```ts
   * await db.withCursor(5, async (cursor) => (await cursor.query('select version()')).rows[0]);
   * ```
   */
  async query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<QueryResult<Row>> {
    return this.#observed(text, () => this.#client.query<Row>(text, [...values]));
  }

  /** Rows as arrays, with parsers of the caller's choice. @internal */
  async queryArrays(text: string, values: readonly unknown[], types: CustomTypesConfig): Promise<QueryArrayResult> {
    return this.#observed(text, () =>
      this.#client.query({ text, values: [...values], rowMode: 'array', types } as QueryArrayConfig),
    );
  }

  /**
   * Runs `fn` inside a transaction; commits when it returns, rolls back when it throws.
   *
   * @throws OutcomeUnknownError when the session is lost while COMMIT is under way
   */
  async transaction<T>(fn: (cursor: Cursor) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#transaction(fn, options, 'commit');
  }

  /**
   * Like {@link transaction}, but ends with PREPARE TRANSACTION: from then on any session may commit it or roll it back,
   * by this name. @internal
   *
   * @throws OutcomeUnknownError when the session is lost while PREPARE is under way
   */
  async prepared<T>(name: string, fn: (cursor: Cursor) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#transaction(fn, options, `prepare transaction ${quoteLiteral(name)}`);
  }

  async #transaction<T>(fn: (cursor: Cursor) => Promise<T>, options: TransactionOptions, end: string): Promise<T> {
    await this.#enter();
    if (this.#inTransaction) throw new Error('a transaction is open on this cursor already; use a savepoint');
    // Before BEGIN is answered: another one that was asked for meanwhile would join this one, and commit its half.
    this.#inTransaction = true;
    try {
      await this.#session.query(beginText(options));
      let result: T;
      try {
        if (this.#pooled) await this.#setPath();
        result = await fn(this);
      } catch (error) {
        // The session may be gone, or given back with the transaction open; then the server rolls back by itself.
        if (!this.#dead) await this.#client.query('rollback').catch(() => {});
        throw error;
      }
      await this.#end(end);
      this.#keptWork = true;
      return result;
    } finally {
      this.#inTransaction = false;
    }
  }

  /**
   * Reads any number of rows with bounded memory, by a cursor of the server. Leaving the loop early frees it.
   * No other statement may run on this cursor meanwhile.
   */
  async *stream<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    { batchSize = STREAM_ROWS, signal }: { batchSize?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Row, void, undefined> {
    await this.#enter();
    const wrap = this.#needsWrapping;
    if (wrap) {
      await this.#session.query('begin');
      await this.#setPath();
    }
    const cursor = this.#session.query(new PgCursor<Row>(text, [...values]));
    try {
      for (;;) {
        throwIfAborted(signal, 'reading a stream');
        const rows = await cursor.read(batchSize);
        yield* rows;
        if (rows.length < batchSize) return;
      }
    } finally {
      await closeCursor(cursor, this.#client);
      if (wrap) await this.#client.query('rollback').catch(() => {});
    }
  }

  /** The client itself, for what takes one (COPY streams, query builders). @internal */
  async rawClient(): Promise<Client> {
    await this.#enter();
    this.#keptWork = true;
    return this.#session;
  }

  /**
   * What `client.query` does for borrowers behind a transaction-mode pooler: BEGIN is followed by finding the schema,
   * and a statement outside a transaction gets one. @internal
   */
  async pooledQuery(config: string | { readonly text: string }, values?: readonly unknown[]): Promise<unknown> {
    const text = typeof config === 'string' ? config : config.text;
    const run = (): Promise<unknown> => this.#client.query(config as never, values as never);
    if (this.#client.getTransactionStatus() !== 'I') return run();
    if (!/^\s*(begin|start\s+transaction)\b/i.test(text)) return this.#wrapped(run);
    const begun = await run();
    await this.#setPath();
    return begun;
  }

  /** Whether the server may have kept something that was done here, so that it would be done twice. @internal */
  get keptWork(): boolean {
    return this.#keptWork;
  }

  /** Ends the cursor's life; returns the client it was made of. @internal */
  revoke(): Client {
    this.#dead = true;
    return this.#client;
  }

  /** Whether every statement needs a transaction of its own to find the shard's schema. */
  get #needsWrapping(): boolean {
    return !this.#inTransaction && this.#pooled;
  }

  get #pooled(): boolean {
    return factsOf(this.#client).pooled;
  }

  /** The client, for sending: it may have been given back, and lent to somebody else, while a call waited. */
  get #session(): Client {
    this.#assertLent();
    return this.#client;
  }

  async #enter(): Promise<void> {
    this.#assertLent();
    if (this.#pooled) return;
    // Always set anew, never remembered: the last borrower may have changed it, by SQL we can't see.
    this.#placed ??= this.#client.query(
      `${AS_OPENED}; select set_config('search_path', ${quoteLiteral(this.#path)}, false)`,
    );
    await this.#placed;
    // It may have been given back while this call waited.
    this.#assertLent();
  }

  #assertLent(): void {
    if (this.#dead) throw new ClosedError('this cursor was given back; a client may only be used while it is lent');
  }

  get #path(): string {
    return `${quoteIdentifier(this.schema)}, ${factsOf(this.#client).searchPath}`;
  }

  /** To the end of the transaction. */
  #setPath(): Promise<unknown> {
    return this.#session.query("select set_config('search_path', $1, true)", [this.#path]);
  }

  async #observed<T>(text: string, run: () => Promise<T>): Promise<T> {
    await this.#enter();
    this.#assertLent();
    const started = performance.now();
    let failure: unknown;
    try {
      const result = await (this.#needsWrapping ? this.#wrapped(run) : run());
      if (!this.#inTransaction) this.#keptWork = true;
      return result;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      if (this.#observer.active) this.#observer.statement(this.shardId, text, performance.now() - started, failure);
    }
  }

  /** Behind a transaction-mode pooler only a transaction keeps statements on one server session. */
  async #wrapped<T>(run: () => Promise<T>): Promise<T> {
    await this.#session.query('begin');
    try {
      await this.#setPath();
      const result = await run();
      await this.#session.query('commit');
      return result;
    } catch (error) {
      if (!this.#dead) await this.#client.query('rollback').catch(() => {});
      throw error;
    }
  }

  async #end(text: string): Promise<void> {
    const verb = text === 'commit' ? 'COMMIT' : 'PREPARE TRANSACTION';
    try {
      const { command } = await this.#session.query(text);
      if (command !== verb.split(' ')[0]) {
        throw new Error('the transaction was rolled back: an error inside it was caught and not thrown again');
      }
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
      throw new OutcomeUnknownError(`the session was lost while ${verb} was under way`, { cause: error });
    }
  }
}

function beginText({ isolation, readOnly }: TransactionOptions): string {
  const levels = ['read committed', 'repeatable read', 'serializable'];
  if (isolation !== undefined && !levels.includes(isolation)) {
    throw new TypeError(`isolation must be one of ${levels.join(', ')}, not ${JSON.stringify(isolation)}`);
  }
  return `begin${isolation ? ` isolation level ${isolation}` : ''}${readOnly ? ' read only' : ''}`;
}

/** pg-cursor waits for the server to say that it has closed; a session that is lost, or is lost then, never does. */
function closeCursor(cursor: PgCursor, client: Client): Promise<void> {
  if (lossOf(client) !== undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const over = (): void => {
      client.off('end', over);
      resolve();
    };
    client.once('end', over);
    cursor.close().then(over, over);
  });
}
