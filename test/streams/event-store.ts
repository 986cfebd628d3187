// An event store over a database of the test's own, with shards 1 to 4; closed with the test.
import { onTestFinished } from 'vitest';
import { Datastore, type DatastoreOptions, install } from '../../src/core/index.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';
import { connect, type EventStore, type StreamsOptions } from '../../src/streams/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

export interface TestStore {
  readonly store: EventStore;
  readonly datastore: Datastore;
  readonly database: TestDatabase;
}

/** A store with shards `1-5` in a fresh database. */
export async function freshStore(options: StreamsOptions = {}): Promise<TestStore> {
  const database = await freshDatabase();
  const { store, datastore } = await storeOn([{ connection: database.connection, shards: '1-5' }], options);
  return { store, datastore, database };
}

/** A store on servers that are there; installs what is needed. */
export async function storeOn(
  servers: readonly { connection: ConnectionSettings; shards: string }[],
  options: StreamsOptions = {},
  datastoreOptions?: DatastoreOptions,
): Promise<{ store: EventStore; datastore: Datastore }> {
  const connections = servers.map(({ connection, shards }) => ({ ...connection, shards }));
  await install(connections, { modules: ['core', 'streams'] });
  return openStore(connections, options, datastoreOptions);
}

/** A further store, as another process would open it. */
export async function openStore(
  connections: readonly (ConnectionSettings & { shards: string })[],
  options: StreamsOptions = {},
  datastoreOptions?: DatastoreOptions,
): Promise<{ store: EventStore; datastore: Datastore }> {
  const datastore = new Datastore(connections, datastoreOptions);
  const store = await connect({ datastore, ...options });
  onTestFinished(async () => {
    await store.close();
    await datastore.disconnect({ deadlineMs: 1_000 });
  });
  return { store, datastore };
}

/** Sessions that wait for a lock in the store's database. */
export async function waitingForLocks({ database }: Pick<TestStore, 'database'>): Promise<number> {
  const text = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
  return (await database.query(text)).rows.length;
}

/** The first `count` of an async iterable. */
export async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) {
    items.push(item);
    if (items.length === count) break;
  }
  return items;
}
