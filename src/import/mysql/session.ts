import type { Connection, ConnectionOptions, QueryOptions } from 'mysql2';
import { AuthenticationError } from '../../errors.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { SourceUnavailableError } from '../errors.ts';
import { loadMysql } from './driver.ts';
import { type MysqlSettings, sourceLabel } from './settings.ts';

/** What mysql2 is told, without the session variables. */
export function driverOptions(settings: MysqlSettings): ConnectionOptions {
  return {
    host: settings.host,
    port: settings.port,
    user: settings.user,
    password: settings.password,
    connectTimeout: settings.connectTimeoutMs,
    // mysql2 knows the connection's character set by its collation's name; whatever the file says, text travels as utf8mb4
    charset: 'utf8mb4_general_ci',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    jsonStrings: true,
    ...(settings.ssl !== undefined && { ssl: settings.ssl as NonNullable<ConnectionOptions['ssl']> }),
  };
}

/** One row as it came, a Buffer (or null) per column. */
export type RawRow = (Buffer | null)[];

/**
 * A session on the source, with everything set that changes how values are printed: UTC, no sql_mode, utf8mb4.
 */
export class MysqlSession {
  readonly #connection: Connection;
  readonly label: string;
  #failure: Error | undefined;

  private constructor(connection: Connection, label: string) {
    this.#connection = connection;
    this.label = label;
    connection.on('error', (error: Error) => {
      this.#failure ??= error;
    });
  }

  /** @throws SourceUnavailableError, AuthenticationError, MissingPeerError */
  static async open(
    settings: MysqlSettings,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<MysqlSession> {
    throwIfAborted(signal, `connecting to ${sourceLabel(settings)}`);
    const mysql = await loadMysql();
    const connection = mysql.createConnection(driverOptions(settings));
    const session = new MysqlSession(connection, sourceLabel(settings));
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(explain(session.label, error)) : resolve()));
    });
    await session.query(
      `set session time_zone = '+00:00', sql_mode = '', net_read_timeout = ?, net_write_timeout = ?, wait_timeout = 28800`,
      [settings.netTimeoutSeconds, settings.netTimeoutSeconds],
    );
    return session;
  }

  /** Runs one statement and gives its rows as objects; whole numbers beyond 2^53 and decimals as text. */
  query<Row = Record<string, unknown>>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.#connection.query(sql, values as unknown[], (error, rows) => {
        if (error) reject(explain(this.label, this.#failure ?? error));
        else resolve(rows as unknown as Row[]);
      });
    });
  }

  /**
   * Runs one statement and hands its rows over one by one, undecoded. `onRow` answers `false` to say "enough for now";
   * reading goes on when the promise given to `drained` is fulfilled.
   */
  stream(
    sql: string,
    onRow: (row: RawRow) => boolean,
    drained: () => Promise<void>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    throwIfAborted(signal, 'reading from the source');
    return new Promise((resolve, reject) => {
      const options: QueryOptions = { sql, rowsAsArray: true, typeCast: false } as QueryOptions;
      let refused: { error: unknown } | undefined;
      const settle = (error?: unknown): void => {
        signal?.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onAbort = (): void => {
        this.#connection.destroy();
        try {
          throwIfAborted(signal, 'reading from the source');
        } catch (error) {
          settle(error);
        }
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const query = this.#connection.query(options);
      // Once the rows are refused the rest is read and thrown away: leaving the result half read would cost the
      // session, and with it the snapshot it sees
      query.on('result', (row: unknown) => {
        if (refused !== undefined) return;
        try {
          if (onRow(row as RawRow)) return;
        } catch (error) {
          refused = { error };
          return;
        }
        this.#connection.pause();
        drained()
          .catch((error: unknown) => {
            refused ??= { error };
          })
          .finally(() => this.#connection.resume());
      });
      query.on('error', (error: Error) => settle(explain(this.label, this.#failure ?? error)));
      query.on('end', () => settle(refused?.error));
    });
  }

  /** Says goodbye; a session in the middle of something is cut. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#connection.destroy();
        resolve();
      }, 1_000);
      this.#connection.end(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

const REFUSED = new Set(['ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR']);

/** Gives errors of the driver a type: lost or refused connections are retryable, the rest passes through. */
export function explain(label: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const { code, fatal } = cause as { code?: string; fatal?: boolean };
  if (code !== undefined && REFUSED.has(code)) {
    return new AuthenticationError(label, `${label} refused the user or the password: ${cause.message}`, { cause });
  }
  const lost = fatal === true || /^(PROTOCOL_|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)/.test(code ?? '');
  if (!lost) return cause;
  return new SourceUnavailableError(`no connection to ${label}: ${cause.message}`, { cause });
}
