// One Postgres database becomes many shards while it is written to; then the shards are the place to write.
import pg from 'pg';
import { ReplicaEngine } from 'pg-hypervault/import';
import { onTwoServers } from './support/two-servers.ts';

await onTwoServers(async (db, connections) => {
  // The database that has become too small: here the schema public of the first server
  const [{ shards: _, ...old }] = connections as [(typeof connections)[0]];
  const source = new pg.Client(old as pg.ClientConfig);
  await source.connect();
  await source.query(`
    create table plan (name text primary key, price int);
    create table account (tenant_id int, id bigserial, plan text references plan, primary key (tenant_id, id));
    insert into plan values ('free', 0), ('large', 90);
    insert into account (tenant_id, plan) select n, 'free' from generate_series(1, 100) n`);

  const servers = Object.fromEntries(connections.map(({ shards: __, ...server }, n) => [`pg${n}`, server]));
  await using engine = new ReplicaEngine({
    config: {
      servers,
      shards: { pg0: '1-9', pg1: '9-17' },
      control: 'pg0',
      import: {
        sources: {
          app: {
            type: 'pgsql',
            db_conn: old,
            schema_mappings: { public: 'reference' },
            shard_by: 'tenant_id',
            reference_tables: ['plan'],
          },
        },
      },
    },
  });
  await engine.createReplicaSchema();
  await engine.addSource('app');
  const problems = await engine.preflight('app');
  console.log(`${problems.filter(({ level }) => level === 'error').length} things stand against it`);

  const { rows } = await engine.initReplica('app');
  console.log(`${rows} rows copied`);

  const stop = new AbortController();
  const replica = engine.startReplica('app', { signal: stop.signal });
  await source.query(`insert into account (tenant_id, plan) values (7, 'large')`);
  const { equal } = await engine.verify('app');
  console.log(`verified: ${equal ? 'equal' : 'different'}`);
  stop.abort();
  await replica;

  const { foreignKeys } = await engine.switchOver('app');
  console.log(`switched, with ${foreignKeys.filter(({ made }) => made).length} foreign key`);
  const refusal = await source.query('delete from account').catch((error: Error) => error.message);
  console.log(refusal);

  // Now the shards are written to, and until finish() the old database gets to know of it
  await db.fanOut([db.shardFor('7')], (shard) => shard.query(`update account set plan = 'free' where plan = 'large'`));
  await engine.finish('app');
  const large = await source.query(`select from account where plan = 'large'`);
  console.log(`${large.rowCount} large accounts in the old database`);
  await source.end();
});

// Prints:
// 0 things stand against it
// 102 rows copied
// verified: equal
// switched, with 1 foreign key
// the table account takes no writes: its rows have moved
// 0 large accounts in the old database
