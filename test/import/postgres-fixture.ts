// A Postgres that writes its log for decoding, databases of it as sources, and an engine that follows one of them.
import pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Embedded } from '../../src/embedded/index.ts';
import { freshDatabase, freshDatabases, type TestDatabase } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { TEMPLATE_SHARDS } from '../support/template.ts';
import { waitFor } from '../support/wait-for.ts';
import { type EngineFixture, engineFixture } from './engine-fixture.ts';

type Connection = TestDatabase['connection'];

/** A server for all tests of a file. */
export function logicalServerOfFile(): () => Embedded {
  let embedded: Embedded | undefined;
  beforeAll(async () => {
    embedded = await ownServers({
      keep: true,
      settings: { wal_level: 'logical', max_replication_slots: 20, max_wal_senders: 20, fsync: false },
    });
  });
  afterAll(() => embedded?.stop());
  return () => embedded!;
}

export interface PostgresFixture extends EngineFixture {
  readonly config: { import?: unknown; sources?: unknown } & Record<string, unknown>;
  readonly sourceConnection: Connection;
  readonly targets: readonly TestDatabase[];
  source(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Rows of the target; with shards, of one of its servers. */
  rows<Row = Record<string, unknown>>(sql: string, server?: number): Promise<Row[]>;
  caughtUp(): Promise<void>;
}

let made = 0;

/** @param options.shards - rows go to eight shards on two servers, by these rules */
export async function postgresFixture(
  server: Embedded,
  {
    source = {},
    shards = false,
    schema = 'public',
    extra,
  }: {
    source?: Record<string, unknown>;
    shards?: boolean;
    schema?: string;
    /** Statements that set the source up. */
    extra?: string;
  } = {},
): Promise<PostgresFixture> {
  made += 1;
  const database = `src_${process.pid}_${made}`;
  const admin = server.servers[0]!.connection as unknown as Connection;
  await run(admin, `create database ${database}`);
  const sourceConnection = { ...admin, database };
  if (extra !== undefined) await run(sourceConnection, extra);
  const targets = shards ? await freshDatabases({ installed: true }) : [await freshDatabase()];
  const section = {
    type: 'pgsql',
    db_conn: sourceConnection,
    schema_mappings: { [schema]: shards ? 'reference' : schema },
    sleep_loop: 0.2,
    replication_slot: `hv_${process.pid}_${made}`,
    ...source,
  };
  const config = shards
    ? {
        servers: Object.fromEntries(TEMPLATE_SHARDS.map(({ name }, n) => [name, targets[n]!.connection])),
        shards: Object.fromEntries(TEMPLATE_SHARDS.map(({ name, shards: range }) => [name, range])),
        control: TEMPLATE_SHARDS[0].name,
        slots: 8,
        firstShard: 1,
        import: { sources: { shop: section } },
      }
    : { pg_conn: targets[0]!.connection, sources: { shop: section } };
  return {
    ...engineFixture(config),
    config,
    sourceConnection,
    targets,
    source: (sql, values) => run(sourceConnection, sql, values),
    rows: async (sql, n = 0) => (await targets[n]!.query(sql)).rows,
    caughtUp: () => caughtUp(sourceConnection, targets),
  };
}

async function caughtUp(source: Connection, targets: readonly TestDatabase[]): Promise<void> {
  const [mark] = await run(source, `select (pg_logical_emit_message(true, 'test', '') - '0/0')::text as lsn`);
  const wanted = BigInt(mark!.lsn as string);
  await waitFor(
    async () => {
      for (const target of targets) {
        const { rows } = await target.query('select min(ordinal)::text as at from hypervault.import_position');
        if (rows[0].at === null || BigInt(rows[0].at) < wanted) return false;
      }
      return true;
    },
    { timeoutMs: 20_000, everyMs: 30, what: `the target reaching ${wanted}` },
  );
}

/** Every value as the server's text, under the settings in which it has one. */
async function run(connection: Connection, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql, values)).rows ?? [];
  } finally {
    await client.end();
  }
}

/** All rows of a table as text, in the order of their text. */
export async function textOf(connection: Connection, place: string, columns = '*'): Promise<string[]> {
  const settings = `set timezone = 'UTC'; set extra_float_digits = 3; set intervalstyle = postgres; set bytea_output = hex`;
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(settings);
    const list = columns === '*' ? 't::text' : `row(${columns})::text`;
    return (await client.query(`select ${list} as line from ${place} t order by 1`)).rows.map(({ line }) => line);
  } finally {
    await client.end();
  }
}

/** The target's table holds what the source's holds, byte for byte. */
export async function expectSame(f: PostgresFixture, table: string, columns = '*'): Promise<void> {
  const theirs = await textOf(f.sourceConnection, `public.${table}`, columns);
  const ours = await textOf(f.targets[0]!.connection, `public.${table}`, columns);
  expect(ours.length).toBe(theirs.length);
  expect(ours).toEqual(theirs);
}
