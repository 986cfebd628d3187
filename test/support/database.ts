// Databases of the run's servers: a test file asks for one of its own, empty but for hstore, and it is dropped at the end.
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';
import { TEMPLATE } from './template.ts';
import { waitFor } from './wait-for.ts';

/** A database that belongs to one test. */
export interface TestDatabase {
  readonly connection: ConnectionSettings & {
    host: string;
    port: number;
    user: string;
    password: string;
    database: string;
  };
  /** Runs a statement on a connection of its own. */
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>;
  /** A connected client, ended with the test. */
  client(): Promise<pg.Client>;
  drop(): Promise<void>;
}

export interface FreshOptions {
  /** Leaves dropping to the caller. @default false */
  readonly keep?: boolean;
  /** A clone of the installed template: shards 1–4 on server 0, 5–8 on server 1. @default false, only hstore */
  readonly installed?: boolean;
}

let made = 0;

/**
 * Makes a database on server 0 or 1 of the run. Dropped when the test ends; in `beforeAll` call `drop()` yourself in
 * `afterAll`.
 */
export async function freshDatabase({
  server = 0,
  keep = false,
  installed = false,
}: FreshOptions & { server?: 0 | 1 } = {}): Promise<TestDatabase> {
  const admin = { ...(inject('servers')[server]! as TestDatabase['connection']), database: 'postgres' };
  made += 1;
  const database = `t_${process.pid}_${made}`;
  await once(admin, `create database ${database}${installed ? ` template ${TEMPLATE}` : ''}`);
  const connection = { ...admin, database };
  if (!installed) await once(connection, 'create extension hstore');
  const clients: pg.Client[] = [];
  const test: TestDatabase = {
    connection,
    query: (text, values) => once(connection, text, values),
    client: async () => {
      const client = new pg.Client(connection);
      client.on('error', () => {});
      clients.push(client);
      await client.connect();
      return client;
    },
    drop: async () => {
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
      const sessions = await sessionsLeft(admin, database);
      await once(admin, `drop database if exists ${database} with (force)`);
      if (sessions.length > 0) throw new Error(`sessions left in ${database}:\n${sessions.join('\n')}`);
    },
  };
  if (!keep) onTestFinished(() => test.drop());
  return test;
}

/** A database on each of the run's two servers. */
export async function freshDatabases(options: FreshOptions = {}): Promise<[TestDatabase, TestDatabase]> {
  return Promise.all([freshDatabase({ ...options, server: 0 }), freshDatabase({ ...options, server: 1 })]);
}

/** Sessions that a test leaves open; they take a moment to go. */
async function sessionsLeft(admin: pg.ClientConfig, database: string): Promise<string[]> {
  const ask = `select concat_ws(' | ', pid, application_name, state, left(query, 80)) as session
from pg_stat_activity
where datname = $1 and backend_type = 'client backend'`;
  const sessions = async (): Promise<string[]> => (await once(admin, ask, [database])).rows.map((row) => row.session);
  await waitFor(async () => (await sessions()).length === 0, { timeoutMs: 3_000, everyMs: 20 }).catch(() => {});
  return sessions();
}

async function once(connection: pg.ClientConfig, text: string, values: unknown[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return await client.query(text, values);
  } finally {
    await client.end();
  }
}
