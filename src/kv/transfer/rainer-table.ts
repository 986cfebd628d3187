import pg from 'pg';
import Cursor from 'pg-cursor';
import { ConfigurationError, ServerUnavailableError } from '../../errors.ts';
import { endClient } from '../../internal/client-guard.ts';
import { Endpoint } from '../../internal/endpoint/endpoint.ts';
import type { Commit } from '../commit.ts';
import { commitOfRainerRow, type RainerRow } from './rainer-row.ts';

/** A table that a Rainer server writes, or wrote. */
export interface RainerTable {
  /** `mysql://user:password@host/database` or `postgres://…`. */
  readonly url: string;
  /** @default 'rainer' */
  readonly table?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Rows fetched at a time; each may hold 16 MiB. */
const ROWS_AT_A_TIME = 16;

/**
 * Reads all commits of a live Rainer table, in one statement and so as of one moment, by key and version.
 * Needs the package `mysql2` for MySQL and MariaDB.
 *
 * @throws ConfigurationError, ServerUnavailableError, CommitFormatError for a row that is no commit
 */
export async function* readRainerTable({ url, table = 'rainer', signal }: RainerTable): AsyncGenerator<Commit> {
  const scheme = URL.canParse(url) ? new URL(url).protocol : '';
  const rows = /^(mysql|mariadb):$/.test(scheme)
    ? mysqlRows(url, table)
    : /^postgres(ql)?:$/.test(scheme)
      ? postgresRows(url, table, signal)
      : undefined;
  if (rows === undefined) throw new ConfigurationError('the source must be a mysql:// or a postgres:// URL');
  for await (const row of rows) {
    signal?.throwIfAborted();
    yield commitOfRainerRow(row);
  }
}

async function* mysqlRows(url: string, table: string): AsyncGenerator<RainerRow> {
  const { createConnection } = await loadMysql();
  const connection = createConnection({ uri: url.replace(/^mariadb:/, 'mysql:') });
  // Without a listener a lost connection would end the process; the stream fails by itself.
  connection.on('error', () => {});
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    // The server waits no longer than this for a reader that writes meanwhile.
    connection.query('set session net_write_timeout = 3600', () => {});
    const query = connection.query('select name, version, payload from ?? order by name, version', [table]);
    yield* query.stream({ highWaterMark: ROWS_AT_A_TIME }) as AsyncIterable<RainerRow>;
  } catch (cause) {
    throw explain(cause, new URL(url).host, table);
  } finally {
    connection.destroy();
  }
}

async function* postgresRows(url: string, table: string, signal: AbortSignal | undefined): AsyncGenerator<RainerRow> {
  const endpoint = new Endpoint({ connectionString: url });
  const client = await endpoint.connect({ signal });
  try {
    const name = table
      .split('.')
      .map((part) => pg.escapeIdentifier(part))
      .join('.');
    const cursor = client.query(
      new Cursor<RainerRow>(`select name, version, payload from ${name} order by name, version`),
    );
    for (let rows = await cursor.read(ROWS_AT_A_TIME); rows.length > 0; rows = await cursor.read(ROWS_AT_A_TIME)) {
      yield* rows;
    }
  } catch (cause) {
    throw explain(cause, endpoint.label, table);
  } finally {
    await endClient(client);
    await endpoint.close();
  }
}

async function loadMysql(): Promise<typeof import('mysql2')> {
  try {
    const module = await import('mysql2');
    return module.default ?? module;
  } catch (cause) {
    throw new ConfigurationError('reading from MySQL or MariaDB needs the package mysql2: npm install mysql2', {
      cause,
    });
  }
}

function explain(cause: unknown, host: string, table: string): unknown {
  const code = String((cause as { code?: unknown }).code);
  if (code === 'ER_NO_SUCH_TABLE' || code === '42P01') {
    return new ConfigurationError(`${host} has no table ${table}; name it by --source-table`, { cause });
  }
  if (!/^(E[A-Z]+|PROTOCOL_\w+)$/.test(code) || code.startsWith('ER_')) return cause;
  return new ServerUnavailableError(host, `${host}: ${(cause as Error).message}`, { cause });
}
