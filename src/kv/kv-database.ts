import type pg from 'pg';
import {
  ConfigurationError,
  OutcomeUnknownError,
  PermissionError,
  SchemaError,
  ServerUnavailableError,
} from '../errors.ts';
import { destroyClient, endClient } from '../internal/client-guard.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { classifyError } from '../internal/endpoint/error-class.ts';
import type { EndpointPool } from '../internal/endpoint/pool.ts';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { applySchema } from '../internal/migrations.ts';
import { shareSignal } from '../internal/share-signal.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { type ConnectionSettings, type HubOptions, NotificationHub } from '../listen/index.ts';
import type { Statement } from './statements.ts';

export interface KvDatabaseOptions {
  /** `postgres://…`, settings with one or several hosts, or an endpoint that is shared. */
  readonly connection: string | ConnectionSettings | Endpoint;
  /** Most sessions for statements; one more listens. @default 5 */
  readonly poolMax?: number | undefined;
  /** How long a statement waits for a session, through a failover too. @default 5000 */
  readonly waitTimeoutMs?: number | undefined;
  /** Longest time one statement may take before its session is cut. @default 30000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Prepare statements by name; `false` for poolers that don't follow them. @default true */
  readonly prepare?: boolean | undefined;
  /** How the listening session is kept. @default looks for a lost server every 50 to 500 ms, catches up every 30 s */
  readonly listen?: HubOptions | undefined;
}

const KEYS = [
  'connection',
  'poolMax',
  'waitTimeoutMs',
  'requestTimeoutMs',
  'prepare',
  'listen',
] as const satisfies readonly (keyof KvDatabaseOptions)[];

interface ResolvedOptions {
  readonly poolMax: number;
  readonly waitTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly prepare: boolean;
  readonly listen: HubOptions;
}

/** A mirror should be whole again within a second of the server's return, so the search for it never rests for longer. */
const LISTEN_DEFAULTS: HubOptions = { backoffMs: 50, maxBackoffMs: 500, backstopMs: 30_000 };

export interface QueryOptions {
  readonly signal?: AbortSignal | undefined;
  readonly limitMs?: number | undefined;
  /** A lost reply leaves a write's outcome unknown; a read is just done again by whoever wants it. @default false */
  readonly writes?: boolean | undefined;
}

/**
 * The one database that storage, keeper and mirrors of a process share: a pool for statements, and one listening
 * session. Both are opened when they are first used and follow the primary.
 */
export class KvDatabase {
  readonly #connection: ConnectionSettings | Endpoint;
  readonly #options: ResolvedOptions;
  #endpoint: Endpoint;
  #closed = false;
  #pool: EndpointPool | undefined;
  #hub: NotificationHub | undefined;

  /** @throws ConfigurationError; does no I/O */
  constructor(options: KvDatabaseOptions) {
    assertKnownKeys(options, KEYS, 'KvDatabase options');
    const { connection, poolMax = 5, waitTimeoutMs = 5_000, requestTimeoutMs = 30_000, prepare = true } = options;
    this.#connection = connection instanceof Endpoint ? connection : settingsOf(connection);
    this.#endpoint = this.#makeEndpoint();
    const listen = { ...LISTEN_DEFAULTS, ...options.listen };
    this.#options = { poolMax, waitTimeoutMs, requestTimeoutMs, prepare, listen };
  }

  get waitTimeoutMs(): number {
    return this.#options.waitTimeoutMs;
  }

  /** The server this stands on; a new one after `close()`. */
  get endpoint(): Endpoint {
    if (this.#closed) this.#endpoint = this.#makeEndpoint();
    this.#closed = false;
    return this.#endpoint;
  }

  /** The listening session of this process, shared by everything that waits for changes here. */
  get hub(): NotificationHub {
    this.#hub ??= new NotificationHub(this.endpoint, this.#options.listen);
    return this.#hub;
  }

  /**
   * Runs one statement on a session of its own.
   *
   * @throws ServerUnavailableError (retryable), OutcomeUnknownError for writes, TimeoutError, SchemaError,
   *   PermissionError, AbortedError; what Postgres refuses for reasons of its own as it is
   */
  async query<Row extends pg.QueryResultRow>(
    { name, text }: Statement,
    values: readonly unknown[],
    { signal, limitMs = this.#options.requestTimeoutMs, writes = false }: QueryOptions = {},
  ): Promise<Row[]> {
    throwIfAborted(signal, 'the statement');
    const { poolMax: max, waitTimeoutMs, prepare } = this.#options;
    this.#pool ??= this.endpoint.createPool({ max, waitTimeoutMs });
    const client = await this.#pool.connect();
    const onAbort = (): void => destroyClient(client);
    let failure: unknown;
    try {
      throwIfAborted(signal, 'the statement');
      shareSignal(signal);
      signal?.addEventListener('abort', onAbort, { once: true });
      const query = { text, values: [...values], ...(prepare && { name }) };
      return (await withinLimit(client, limitMs, () => client.query<Row>(query))).rows;
    } catch (error) {
      failure = error;
      throwIfAborted(signal, 'the statement');
      throw this.#explain(error, writes);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      const kind = failure === undefined ? 'other' : classifyError(failure);
      client.release(kind === 'gone' || kind === 'role' || signal?.aborted ? (failure as Error) : undefined);
    }
  }

  /** Makes the tables and functions that kv needs, or brings them up to date. Idempotent. */
  async install({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const client = await this.endpoint.connect({ signal, waitMs: this.waitTimeoutMs });
    try {
      // The auto-publishers choose their leader with listen's leases.
      for (const module of ['listen', 'kv']) {
        await applySchema(client, { module, scope: 'control', schema: 'hypervault', signal });
      }
    } finally {
      await endClient(client);
    }
  }

  /** Ends the sessions after the work in hand. Idempotent; the next use opens new ones. */
  async close(): Promise<void> {
    const [hub, pool] = [this.#hub, this.#pool];
    this.#hub = undefined;
    this.#pool = undefined;
    await hub?.close();
    await pool?.close();
    if (this.#connection instanceof Endpoint || this.#closed) return;
    this.#closed = true;
    await this.#endpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #makeEndpoint(): Endpoint {
    return this.#connection instanceof Endpoint ? this.#connection : new Endpoint(this.#connection);
  }

  #explain(error: unknown, writes: boolean): unknown {
    const { label } = this.endpoint;
    const reason = error instanceof Error ? error.message : String(error);
    switch (sqlStateOf(error)) {
      case SQLSTATE.undefinedFunction:
      case SQLSTATE.undefinedTable:
      case SQLSTATE.invalidSchemaName:
        return new SchemaError(`kv is not installed in ${label}: run hypervault init, or start with install: true`, {
          cause: error,
        });
      case SQLSTATE.insufficientPrivilege:
        return new PermissionError(`${label}: ${reason}; sql/kv/control/grants.sql holds the rights that are needed`, {
          cause: error,
        });
    }
    const kind = classifyError(error);
    if (kind === 'role')
      return new ServerUnavailableError(label, `${label} takes no writes: ${reason}`, { cause: error });
    if (kind !== 'gone') return error;
    if (!writes)
      return new ServerUnavailableError(label, `the session to ${label} was lost: ${reason}`, { cause: error });
    return new OutcomeUnknownError(
      `the session to ${label} was lost while a commit was under way; read the key to learn whether it is saved`,
      { cause: error },
    );
  }
}

function settingsOf(connection: string | ConnectionSettings): ConnectionSettings {
  if (typeof connection === 'string') return { connectionString: connection };
  if (typeof connection === 'object' && connection !== null) return connection;
  throw new ConfigurationError('kv: option "connection" must be a postgres:// URL or settings');
}
