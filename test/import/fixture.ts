// A MariaDB or MySQL, a database of the run's Postgres, and an engine between them.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, onTestFinished } from 'vitest';
import type { Notice } from '../../src/import/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startMariadb } from '../support/mariadb.ts';
import { startMysql } from '../support/mysql.ts';
import type { ServerSettings, SourceServer, SourceServerOptions } from '../support/source-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { type EngineFixture, engineFixture } from './engine-fixture.ts';

/** A MariaDB for all tests of a file, which are skipped where it is not installed. */
export function mariadbOfFile(settings: ServerSettings = {}): () => SourceServer {
  return serverOfFile(startMariadb, { settings });
}

/** A MySQL for all tests of a file, which are skipped where there is none. */
export function mysqlOfFile(settings: ServerSettings = {}): () => SourceServer {
  return serverOfFile(startMysql, { settings });
}

function serverOfFile(
  start: (options: SourceServerOptions) => Promise<SourceServer | undefined>,
  options: SourceServerOptions,
): () => SourceServer {
  let server: SourceServer | undefined;
  beforeAll(async () => {
    server = await start({ ...options, keep: true });
  });
  beforeEach(({ skip }) => {
    if (server === undefined) skip('there is no such server on this machine; what to do is said above');
  });
  afterAll(() => server?.remove());
  return () => server!;
}

export interface ImportFixture extends EngineFixture {
  readonly server: SourceServer;
  readonly target: TestDatabase;
  readonly config: { sources: Record<string, Record<string, unknown>> } & Record<string, unknown>;
  /** The name of the source's database, which is also the target schema's. */
  readonly schema: string;
  /** Runs statements in the source's database. */
  source(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Rows of the target. */
  rows<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Waits until everything the source has written is applied. */
  caughtUp(): Promise<void>;
}

let made = 0;

interface ImportFixtureOptions {
  /** Keys of the source's section beside what is needed to connect. */
  readonly source?: Record<string, unknown>;
  readonly config?: Record<string, unknown>;
  readonly onNotice?: (notice: Notice) => void;
}

export async function importFixture(
  server: SourceServer,
  { source = {}, config = {}, onNotice }: ImportFixtureOptions = {},
): Promise<ImportFixture> {
  made += 1;
  const schema = `src_${process.pid}_${made}`;
  await server.query(`create database ${schema}`);
  onTestFinished(() => server.query(`drop database if exists ${schema}`).then(() => {}));
  const target = await freshDatabase();
  const whole = {
    pg_conn: target.connection,
    sources: {
      shop: {
        type: 'mysql',
        db_conn: server.connection,
        schema_mappings: { [schema]: schema },
        sleep_loop: 0.2,
        ...source,
      },
    },
    ...config,
  };
  const fixture: ImportFixture = {
    ...engineFixture(whole, { onNotice }),
    server,
    target,
    config: whole as ImportFixture['config'],
    schema,
    source: async (sql, values) => (await server.query(sql, values, schema)) as Record<string, unknown>[],
    rows: async (sql, values) => (await target.query(sql, values)).rows,
    caughtUp: () => caughtUp(fixture),
  };
  return fixture;
}

const STANDS_STILL_MS = 20_000;

async function caughtUp({ server, target }: ImportFixture): Promise<void> {
  const [status] = (await server.query(server.statusStatement)) as { File: string; Position: number }[];
  const file = Number(/\.(\d+)$/.exec(status!.File)![1]);
  const wanted = (BigInt(file) << 40n) | BigInt(status!.Position);
  const place = `${status!.File}:${status!.Position}`;
  // However much is left on a busy machine: only standing still is a failure
  let last = '';
  let movedAt = Date.now();
  await waitFor(
    async () => {
      const { rows } = await target.query('select min(ordinal)::text as at from hypervault.import_position');
      const at = String(rows[0].at);
      if (at !== last) movedAt = Date.now();
      last = at;
      if (Date.now() - movedAt > STANDS_STILL_MS) throw new Error(`the target stands still at ${at} before ${place}`);
      return rows[0].at !== null && BigInt(at) >= wanted;
    },
    { timeoutMs: 90_000, everyMs: 30, what: `the target reaching ${place}` },
  );
}

/** A client that shows values as the server's text, whatever their type. */
export async function textRows(target: TestDatabase, sql: string): Promise<Record<string, string | null>[]> {
  const client = new pg.Client({
    ...target.connection,
    types: { getTypeParser: () => (value: string) => value } as never,
  });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
