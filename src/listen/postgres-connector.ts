import type pg from 'pg';
import { destroyClient, endClient, lossOf } from '../internal/client-guard.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { askSession } from '../internal/endpoint/host-report.ts';
import { factsOf } from '../internal/endpoint/session.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { withinLimit } from '../internal/endpoint/waiting.ts';

/**
 * One session for a component that wants no pool: opened when it is first used, opened anew when it was lost,
 * in autocommit as every session of node-postgres is.
 *
 * @example
 * ```ts
 * const connector = new PostgresConnector({ hosts: ['db1', 'db2'], database: 'app' });
 * await connector.query('delete from jobs where id = $1', [id]);
 * await connector.disconnect();
 * ```
 */
export class PostgresConnector {
  readonly #endpoint: Endpoint;
  #client: Promise<pg.Client> | undefined;

  /** @throws ConfigurationError; does no I/O */
  constructor(connection: ConnectionSettings | Endpoint) {
    this.#endpoint = connection instanceof Endpoint ? connection : new Endpoint(connection);
  }

  /** The open session. @throws ServerUnavailableError, AuthenticationError, ConfigurationError, AbortedError */
  async connection({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<pg.Client> {
    const client = await this.#client?.catch(() => undefined);
    if (client !== undefined && this.#endpoint.accepts(client)) return client;
    if (client !== undefined) destroyClient(client);
    this.#client = this.#endpoint.connect({ signal });
    return this.#client;
  }

  /** Runs one statement on it. Past `limitMs` the session is cut, since no reply may ever come. */
  async query<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    { limitMs, signal }: { limitMs?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<pg.QueryResult<Row>> {
    const client = await this.connection({ signal });
    const run = (): Promise<pg.QueryResult<Row>> => client.query<Row>(text, values);
    try {
      return await (limitMs === undefined ? run() : withinLimit(client, limitMs, run));
    } catch (error) {
      this.#endpoint.report(error, client);
      throw error;
    }
  }

  /**
   * Whether the server is a primary, asked on a session of its own: one that was there before a change of role may
   * not know of it. With several hosts: whether there is a primary among them.
   *
   * @throws ServerUnavailableError when nobody answers
   */
  async isServerPrimary({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    const { hosts, connectTimeoutMs } = this.#endpoint.settings;
    if (hosts.length > 1) {
      try {
        await this.#endpoint.locate(signal);
        return this.#endpoint.current?.role === 'primary';
      } catch (error) {
        if (this.#endpoint.lastReports.some(({ role }) => role === 'standby')) return false;
        throw error;
      }
    }
    const client = await this.#endpoint.connect({ signal });
    try {
      const ask = withinLimit(client, connectTimeoutMs, () => askSession(client, factsOf(client)!.host));
      return (await ask).role === 'primary';
    } finally {
      if (lossOf(client) === undefined) void endClient(client);
    }
  }

  /** Ends the session. Idempotent; the next use opens another. */
  async disconnect(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    if (client !== undefined && lossOf(client) === undefined) await endClient(client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }
}
