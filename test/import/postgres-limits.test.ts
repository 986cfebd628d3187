import pg from 'pg';
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

it('needs no superuser on the source: a role that may replicate and owns the tables will do', async () => {
  const role = `reader_${process.pid}`;
  const f = await postgresFixture(server(), {
    extra: `create role ${role} login replication password 'only for the test';
      create table t (id serial primary key, price money, body text); insert into t (price, body) select n, repeat('x', 3000) from generate_series(1, 20) n;
      alter table t owner to ${role};
      do $$ begin execute format('grant create on database %I to ${role}', current_database()); end $$`,
  });
  const config = f.config as { sources: { shop: { db_conn: object } } };
  config.sources.shop.db_conn = { ...config.sources.shop.db_conn, user: role, password: 'only for the test' };
  await f.init();
  const stop = await f.start();
  await f.source(`update t set price = 7; insert into t (body) values ('new')`);
  await f.caughtUp();
  await expectSame(f, 't');
  // The way back needs more, and says so before anything is changed
  await stop();
  await expect(f.engine.switchOver('shop')).rejects.toThrow(/grant set on parameter session_replication_role/);
  await f.source('update t set price = 8');
  await f.engine.dropSource('shop');
  await f.source(`drop owned by ${role} cascade; drop role ${role}`);
});

it('refuses to go on when the log in between is gone, instead of leaving changes out', async () => {
  const f = await postgresFixture(server(), { extra: 'create table t (id int primary key)' });
  await f.init();
  const [{ slot }] = (await f.source(
    'select slot_name as slot from pg_replication_slots where database = current_database()',
  )) as [{ slot: string }];
  await f.source('insert into t values (1)');
  await f.source(`select pg_drop_replication_slot('${slot}')`);
  await expect(f.engine.startReplica('shop')).rejects.toMatchObject({ code: 'BINLOG_PURGED' });
  await f.source(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await f.engine.enableReplica('shop');
  await expect(f.engine.startReplica('shop')).rejects.toThrow(/run init-replica again/);
  await f.engine.initReplica('shop', { resume: false });
  await f.start();
  await f.source('insert into t values (2)');
  await f.caughtUp();
  await expectSame(f, 't');
});

it('leaves out what a stream of ours has written, so that no loop can arise', async () => {
  const f = await postgresFixture(server(), { extra: 'create table t (id int primary key)' });
  await f.init();
  await f.start();
  const client = new pg.Client(f.sourceConnection);
  await client.connect();
  await client.query(`select pg_replication_origin_create('hypervault_loop_${process.pid}')`);
  await client.query(`select pg_replication_origin_session_setup('hypervault_loop_${process.pid}')`);
  await client.query('insert into t values (1)');
  await client.query('select pg_replication_origin_session_reset()');
  await client.query('insert into t values (2)');
  await client.query(`select pg_replication_origin_drop('hypervault_loop_${process.pid}')`);
  await client.end();
  await waitFor(async () => (await f.rows('select from public.t')).length > 0);
  await f.caughtUp();
  expect(await f.rows('select id from public.t')).toEqual([{ id: 2 }]);
});

it('sets a routed table aside when a new partition tells too little of its old rows, instead of guessing their shard', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `create table visit (id int, at date, tenant_id int not null, primary key (id, at)) partition by range (at);
      create table visit_1 partition of visit for values from ('2024-01-01') to ('2025-01-01');
      insert into visit select n, '2024-02-02', n % 9 from generate_series(1, 30) n`,
    source: { shard_by: 'tenant_id', set_replica_identity: true },
  });
  await f.init();
  expect((await f.engine.preflight('shop')).map(({ message }) => message)).toContainEqual(
    expect.stringContaining('give each new partition "replica identity full"'),
  );
  await f.start();
  await f.source(`delete from visit where id = 3; update visit set tenant_id = 8 where id = 4`);
  await f.caughtUp();
  expect((await f.engine.verify('shop')).equal).toBe(true);
  await f.source(`create table visit_2 partition of visit for values from ('2025-01-01') to ('2026-01-01');
    insert into visit values (50, '2025-01-01', 1); delete from visit where id = 50`);
  await waitFor(async () => (await f.rows(`select from hypervault.import_table where state = 'aside'`)).length === 1);
  const [error] = await f.rows<{ message: string }>('select message from hypervault.import_error');
  expect(error!.message).toMatch(/a partition of it was made with another replica identity/);
  // A new copy sets it there too
  await f.engine.syncTables('shop', 'disabled');
  await f.start();
  await f.source(
    `insert into visit values (51, '2025-01-01', 1), (52, '2025-01-01', 2); delete from visit where id = 51`,
  );
  await f.caughtUp();
  expect((await f.engine.verify('shop')).equal).toBe(true);
});
