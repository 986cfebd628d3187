// A cluster of two databases on the run's two servers, with a control database, whose shards can be moved.
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { initCluster, liveShardMap, type MoveSetting, migrate } from '../../src/cluster/index.ts';
import { Datastore, type DatastoreOptions, shardMapOf } from '../../src/core/index.ts';
import { freshDatabase, freshDatabases, type TestDatabase } from './database.ts';
import { waitFor } from './wait-for.ts';

/** As much of a database as these tests need. */
export type ShardDatabase = Pick<TestDatabase, 'connection' | 'query'>;

/** A database of a server of the test's own. */
export function databaseOf(connection: TestDatabase['connection']): ShardDatabase {
  return {
    connection,
    query: async (text, values) => {
      const client = new pg.Client(connection);
      client.on('error', () => {});
      await client.connect();
      try {
        return await client.query(text, values);
      } finally {
        await client.end();
      }
    },
  };
}

export interface MovableCluster {
  readonly a: ShardDatabase;
  readonly b: ShardDatabase;
  readonly control: ShardDatabase;
  readonly setting: MoveSetting;
  /** A datastore over the live map, disconnected with the test. */
  datastore(options?: DatastoreOptions): Promise<Datastore>;
  /** Runs the user's migrations of a folder on all shards. */
  migrate(directory: string): Promise<void>;
  /** Whatever moves leave on servers: slots, subscriptions, publications, marker tables, fences. */
  leftovers(): Promise<string[]>;
  /** Servers on which this shard's own row says that it is the shard. */
  owners(shardId: number): Promise<string[]>;
}

/** Shards 1–2 on `a`, 3–4 on `b`; `shards` gives others. */
export async function movableCluster({
  modules = [],
  shards = ['1-3', '3-5'],
  databases,
}: {
  modules?: readonly string[];
  shards?: readonly [string, string];
  /** Of a test's own servers: a, b, control. @default fresh ones on the run's servers */
  databases?: readonly [ShardDatabase, ShardDatabase, ShardDatabase];
} = {}): Promise<MovableCluster> {
  const [a, b, control] = databases ?? [...(await freshDatabases()), await freshDatabase()];
  // Before the databases are dropped: a slot or a subscription would keep them.
  if (databases === undefined) onTestFinished(() => removeLinks([a, b]));
  const connections = [
    { ...a.connection, name: 'a', shards: shards[0] },
    { ...b.connection, name: 'b', shards: shards[1] },
  ];
  await initCluster(connections, control.connection, { modules });
  const servers = { a: a.connection, b: b.connection };
  const setting: MoveSetting = { control: control.connection, servers };
  return {
    a,
    b,
    control,
    setting,
    datastore: async (options) => {
      const map = await liveShardMap({ control: control.connection, servers });
      onTestFinished(() => map.close());
      const db = new Datastore(map, options);
      onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
      return db;
    },
    migrate: async (directory) => {
      await migrate(shardMapOf(connections), { directory });
    },
    leftovers: async () => (await Promise.all([leftOn(a, 'a'), leftOn(b, 'b')])).flat(),
    owners: async (shardId) => {
      const found: string[] = [];
      for (const [name, database] of Object.entries({ a, b })) {
        const { rows } = await database.query('select server from hypervault.owners() where shard = $1', [shardId]);
        if (rows[0]?.server === name) found.push(name);
      }
      return found;
    },
  };
}

export async function leftOn(database: ShardDatabase, name: string): Promise<string[]> {
  const { rows } = await database.query(`
    select 'slot ' || slot_name as what from pg_replication_slots where database = current_database()
    union all
    select 'subscription ' || subname from pg_subscription join pg_database on pg_database.oid = subdbid
    where datname = current_database()
    union all
    select 'publication ' || pubname from pg_publication
    union all
    select 'table ' || oid::regclass from pg_class where relname = 'hv_move'
    union all
    select 'fence on ' || tgrelid::regclass from pg_trigger where tgname = 'hv_fence'
    union all
    select 'copy ' || nspname from pg_namespace
    where nspname ~ '^shard\\d{4}$'
      and not exists (select from hypervault.owners() where shard = right(nspname, 4)::int and server = '${name}')`);
  return rows.map(({ what }) => `${name}: ${what}`);
}

async function removeLinks(databases: readonly ShardDatabase[]): Promise<void> {
  for (const { connection } of databases) {
    const client = new pg.Client(connection);
    await client.connect();
    const { rows } = await client.query(
      `select subname from pg_subscription join pg_database on pg_database.oid = subdbid where datname = current_database()`,
    );
    for (const { subname } of rows) {
      await client.query(`alter subscription ${subname} disable`);
      await client.query(`alter subscription ${subname} set (slot_name = none)`);
      await client.query(`drop subscription ${subname}`);
    }
    await client.end();
  }
  for (const { query } of databases) {
    await waitFor(
      async () => {
        await query(
          `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active`,
        );
        const { rows } = await query('select from pg_replication_slots where database = current_database()');
        return rows.length === 0;
      },
      { what: 'slots to go' },
    );
  }
}
