// A datastore over two databases of the run's two servers, shards 1–4 and 5–8, installed.
import { onTestFinished } from 'vitest';
import { Datastore, type DatastoreOptions } from '../../src/core/index.ts';
import { freshDatabases, type TestDatabase } from './database.ts';
import { TEMPLATE_SHARDS } from './template.ts';

export interface TestDatastore<Database extends object> {
  readonly db: Datastore<Database>;
  readonly connections: readonly (TestDatabase['connection'] & { name: string; shards: string })[];
  /** The databases behind servers `a` and `b`. */
  readonly databases: readonly [TestDatabase, TestDatabase];
}

/** Disconnected and dropped with the test. */
export async function testDatastore<Database extends object = Record<string, Record<string, unknown>>>(
  options: DatastoreOptions = {},
): Promise<TestDatastore<Database>> {
  const databases = await freshDatabases({ installed: true });
  const connections = [
    { ...databases[0].connection, ...TEMPLATE_SHARDS[0] },
    { ...databases[1].connection, ...TEMPLATE_SHARDS[1] },
  ];
  const db = new Datastore<Database>(connections, options);
  // Tests end in the reverse order of this, so the datastore is disconnected before its databases are dropped.
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  return { db, connections, databases };
}
