import pg from 'pg';
import { guardClient } from '../internal/client-guard.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import type { EmbeddedConnection } from './connection.ts';

/** Makes the database of the connection when it is missing. */
export async function createDatabase(connection: EmbeddedConnection): Promise<void> {
  const { database } = connection;
  const known = await ask(connection, 'select from pg_database where datname = $1', [database]);
  if (known.length === 0) await ask(connection, `create database ${quoteIdentifier(database)}`);
}

/** Whether the server takes writes; `false` also while it can't be asked. */
export async function takesWrites(connection: EmbeddedConnection): Promise<boolean> {
  const rows = await ask(connection, 'select pg_is_in_recovery() as standby').catch(() => []);
  return rows[0]?.standby === false;
}

/**
 * Whether a standby receives what its primary writes. The timelines must be the same: one that has diverged receives
 * too, at first, up to where its own was left by the other.
 */
export async function receives(standby: EmbeddedConnection, primary: EmbeddedConnection): Promise<boolean> {
  const [received, written] = await Promise.all([
    ask(standby, `select received_tli as timeline from pg_stat_wal_receiver where status = 'streaming'`),
    ask(primary, `select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline`),
  ]).catch(() => [[], []]);
  return received[0] !== undefined && received[0].timeline === written[0]?.timeline;
}

/** One statement on a session of its own, in the database that every server has. */
function ask(connection: EmbeddedConnection, text: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
  return withSession(connection, async (client) => (await client.query(text, values)).rows);
}

/** A session for the length of some work, in the database that every server has. */
export async function withSession<T>(
  connection: EmbeddedConnection,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ ...connection, database: 'postgres', connectionTimeoutMillis: 10_000 });
  guardClient(client);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
