// A MariaDB, a database of the run's Postgres, and an engine between them.
import pg from 'pg';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { ReplicaEngine, type StartOptions } from '../../src/import/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { type Mariadb, startMariadb } from '../support/mariadb.ts';
import { waitFor } from '../support/wait-for.ts';

/** A MariaDB for all tests of a file; `undefined` where it is not installed, and then the tests are skipped. */
export function mariadbOfFile(settings: Record<string, string | number> = {}): () => Mariadb {
  let mariadb: Mariadb | undefined;
  beforeAll(async () => {
    mariadb = await startMariadb({ keep: true, settings });
  });
  afterAll(() => mariadb?.remove());
  return () => mariadb!;
}

export interface ImportFixture {
  readonly mariadb: Mariadb;
  readonly target: TestDatabase;
  readonly engine: ReplicaEngine;
  readonly config: { sources: Record<string, Record<string, unknown>> } & Record<string, unknown>;
  /** The name of the source's database, which is also the target schema's. */
  readonly schema: string;
  /** Runs statements in the source's database. */
  source(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Rows of the target. */
  rows<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Registers the source and copies it. */
  init(): Promise<void>;
  /** Replicates in this process until the test ends, or the function returned is called. */
  start(options?: StartOptions): Promise<() => Promise<void>>;
  /** Waits until everything the source has written is applied. */
  caughtUp(): Promise<void>;
  /** Another engine on the same configuration, as another process would have it. */
  another(): ReplicaEngine;
}

let made = 0;

/** @param options.source - keys of the source's section beside what is needed to connect */
export async function importFixture(
  mariadb: Mariadb,
  { source = {}, config = {} }: { source?: Record<string, unknown>; config?: Record<string, unknown> } = {},
): Promise<ImportFixture> {
  made += 1;
  const schema = `src_${process.pid}_${made}`;
  await mariadb.query(`create database ${schema}`);
  onTestFinished(() => mariadb.query(`drop database if exists ${schema}`).then(() => {}));
  const target = await freshDatabase();
  const whole = {
    pg_conn: target.connection,
    sources: {
      shop: {
        type: 'mysql',
        db_conn: mariadb.connection,
        schema_mappings: { [schema]: schema },
        sleep_loop: 0.2,
        ...source,
      },
    },
    ...config,
  };
  const engines: ReplicaEngine[] = [];
  const another = (): ReplicaEngine => {
    const engine = new ReplicaEngine({ config: whole });
    engines.push(engine);
    return engine;
  };
  const engine = another();
  const running = new Set<() => Promise<void>>();
  // Before the target is dropped: hooks run in reverse
  onTestFinished(async () => {
    await Promise.all([...running].map((stop) => stop()));
    await Promise.all(engines.map((one) => one.close()));
  });
  const fixture: ImportFixture = {
    mariadb,
    target,
    engine,
    config: whole as ImportFixture['config'],
    schema,
    another,
    source: async (sql, values) => (await mariadb.query(sql, values, schema)) as Record<string, unknown>[],
    rows: async (sql, values) => (await target.query(sql, values)).rows,
    init: async () => {
      await engine.createReplicaSchema();
      await engine.addSource('shop');
      const { tables, leftOut } = await engine.initReplica('shop');
      const failed = tables.filter(({ failure }) => failure !== null);
      if (failed.length + leftOut.length > 0) throw new Error(JSON.stringify({ failed, leftOut }));
    },
    start: async (options = {}) => {
      const stopping = new AbortController();
      let failure: unknown;
      const started = new Promise<void>((resolve) => {
        const run = engine.startReplica('shop', { ...options, signal: stopping.signal, onStarted: () => resolve() });
        const stop = async (): Promise<void> => {
          running.delete(stop);
          stopping.abort();
          await run.catch(() => {});
        };
        running.add(stop);
        run.catch((error: unknown) => {
          failure = error;
          resolve();
        });
      });
      await started;
      if (failure !== undefined) throw failure;
      const [stop] = [...running].slice(-1);
      return stop!;
    },
    caughtUp: () => caughtUp(fixture),
  };
  return fixture;
}

async function caughtUp({ mariadb, target }: ImportFixture): Promise<void> {
  const [status] = (await mariadb.query('show master status')) as { File: string; Position: number }[];
  const file = Number(/\.(\d+)$/.exec(status!.File)![1]);
  const wanted = (BigInt(file) << 40n) | BigInt(status!.Position);
  await waitFor(
    async () => {
      const { rows } = await target.query('select min(ordinal)::text as at from hypervault.import_position');
      return rows[0].at !== null && BigInt(rows[0].at) >= wanted;
    },
    { timeoutMs: 20_000, everyMs: 30, what: `the target reaching ${status!.File}:${status!.Position}` },
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
