import pg from 'pg';
import { AuthenticationError, ConfigurationError, ServerUnavailableError } from '../../errors.ts';
import { destroyClient, guardClient } from '../client-guard.ts';
import { throwIfAborted } from '../sleep.ts';
import { SQLSTATE, sqlStateOf } from '../sqlstate.ts';
import { TypedEmitter } from '../typed-emitter.ts';
import type { ConnectionSettings } from './settings.ts';

/** How one session is asked for. */
export interface EndpointConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sends statements without waiting for replies (node-postgres' `pipeline`). @default false */
  readonly pipeline?: boolean | undefined;
}

export type EndpointEvents = {
  /** The server behind this endpoint changed. */
  moved: { readonly from: string | undefined; readonly to: string };
};

/**
 * One logical Postgres server: gives connected, guarded sessions.
 * Pools, listeners and modules that live in one database all stand on it.
 */
export class Endpoint extends TypedEmitter<EndpointEvents> {
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    super();
    this.#settings = settings;
  }

  /** `host:port/database`, for messages; holds no secret. */
  get label(): string {
    const { host, port, database } = new pg.Client(this.#config({}));
    return `${host}:${port}/${database ?? ''}`;
  }

  /**
   * Opens a session.
   *
   * @throws ServerUnavailableError, AuthenticationError, ConfigurationError (no such database), AbortedError
   */
  async connect({ signal, pipeline = false }: EndpointConnectOptions = {}): Promise<pg.Client> {
    throwIfAborted(signal, `connecting to ${this.label}`);
    const client = new pg.Client(this.#config({ pipeline }));
    guardClient(client);
    const onAbort = (): void => destroyClient(client);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await client.connect();
      return client;
    } catch (error) {
      throwIfAborted(signal, `connecting to ${this.label}`);
      throw this.#explain(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Told by pools and listeners that a session failed, so that the primary is looked for again. */
  report(_error: unknown, _client?: pg.Client): void {}

  async close(): Promise<void> {}

  #config(extra: { pipeline?: boolean }): pg.ClientConfig {
    const { connectionString, host, port, user, password, database, ssl } = this.#settings;
    const { connectTimeoutMs = 5_000, applicationName = 'pg-hypervault' } = this.#settings;
    return {
      ...(connectionString !== undefined && { connectionString }),
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      ...(database !== undefined && { database }),
      ...(ssl !== undefined && { ssl }),
      application_name: applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...extra,
    } as pg.ClientConfig;
  }

  #explain(cause: unknown): Error {
    const reason = cause instanceof Error ? cause.message : String(cause);
    switch (sqlStateOf(cause)) {
      case SQLSTATE.invalidPassword:
      case SQLSTATE.invalidAuthorization:
        return new AuthenticationError(this.label, `${this.label} refused the user or the password: ${reason}`, {
          cause,
        });
      case SQLSTATE.invalidCatalogName:
        return new ConfigurationError(`${this.label}: ${reason}; create the database first`, { cause });
      default:
        return new ServerUnavailableError(this.label, `no connection to ${this.label}: ${reason}`, { cause });
    }
  }
}
