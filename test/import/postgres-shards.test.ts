import { expect, it } from 'vitest';
import { shardFor } from '../../src/core/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

const TENANTS = `
create type status as enum ('new', 'paid');
create table country (code text primary key, name text);
create table tenant (tenant_id int primary key, name text);
create table orders (id serial primary key, tenant_id int not null references tenant, status status default 'new', note text, total int);
create table lines (order_id int references orders, n int, tenant_id int not null, sku text unique, primary key (order_id, n));
insert into country values ('at', 'Austria');
insert into tenant select n, 'tenant ' || n from generate_series(1, 40) n;
insert into orders (tenant_id, total, note) select n % 40 + 1, n, repeat('note ', 1000) from generate_series(1, 500) n;
insert into lines select id, 1, tenant_id, 'sku' || id from orders;`;

/** Rows of a table over all shards, each behind the number of its shard. */
async function inShards({ targets }: PostgresFixture, table: string): Promise<string[]> {
  const rows: string[] = [];
  for (let shard = 1; shard <= 8; shard++) {
    const result = await targets[shard <= 4 ? 0 : 1]!.query(
      `select '${shard} ' || md5(t::text) as line from (select tenant_id as k, * from shard000${shard}.${table}) t`,
    );
    rows.push(...result.rows.map(({ line }) => line));
  }
  return rows.sort();
}

async function expectInShards(f: PostgresFixture, table: string): Promise<void> {
  const source = await f.source(
    `select tenant_id::text as tenant, md5(t::text) as h from (select tenant_id as k, * from ${table}) t`,
  );
  const wanted = source.map(({ tenant, h }) => `${shardFor(String(tenant), { slots: 8, firstShard: 1 })} ${h}`).sort();
  expect(await inShards(f, table)).toEqual(wanted);
}

it('takes one database into shards by a key: rows move with it, reference tables stand on every server', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: TENANTS,
    source: { shard_by: 'tenant_id', reference_tables: ['country'], set_replica_identity: true },
  });
  await f.init();
  for (const table of ['tenant', 'orders', 'lines']) await expectInShards(f, table);
  await f.start();
  await f.source(`
    insert into country values ('de', 'Germany');
    update orders set total = 0 where id < 20;
    update orders set tenant_id = tenant_id % 40 + 1 where id between 100 and 160;
    delete from lines where order_id = 7; delete from orders where id = 7;
    update lines set tenant_id = tenant_id % 40 + 1, n = 2 where order_id between 200 and 220`);
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  for (const table of ['tenant', 'orders', 'lines']) await expectInShards(f, table);
  for (const n of [0, 1])
    expect(await f.rows('select code from reference.country order by 1', n)).toEqual([{ code: 'at' }, { code: 'de' }]);
  // New rows take ids that no other shard gives out, and what referred to an int4 is as wide
  const [row] = await f.rows(
    `insert into shard0001.orders (tenant_id, total) values (1, 1) returning id > 1000000000 as big`,
  );
  expect(row).toEqual({ big: true });
  const types = await f.rows<{ type: string }>(
    `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'shard0001.lines'::regclass and attname in ('order_id', 'tenant_id') order by attnum`,
  );
  expect(types).toEqual([{ type: 'bigint' }, { type: 'integer' }]);
  await f.rows('delete from shard0001.orders where id > 1000000000');
});

it('says everything that cannot follow before anything moves, and how it could', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `${TENANTS}
      create unlogged table fleeting (tenant_id int primary key);
      create table keyless (tenant_id int, what text);
      create table other (id int primary key, order_id int references orders);
      create function slug(text) returns text language sql immutable as 'select lower($1)';
      create table slugs (tenant_id int, s text, primary key (tenant_id, s)); create index on slugs (slug(s));
      create view paid as select * from orders where status = 'paid';
      create sequence loose;
      insert into lines select 1, 99, 39, 'stray';`,
    source: { shard_by: 'tenant_id', reference_tables: ['country', 'other'] },
  });
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const problems = (await f.engine.preflight('shop')).map(
    ({ level, table, message }) => `${level} ${table}: ${message}`,
  );
  const expectProblem = (pattern: RegExp): void => expect(problems.join('\n')).toMatch(pattern);
  expectProblem(
    /error public.orders: the log tells of a deleted row only its key.*run "alter table "public"."orders" replica identity full"/,
  );
  expectProblem(
    /error public.keyless: it has no primary key and no replica identity: once it is published, the source itself refuses/,
  );
  expectProblem(/warning public.fleeting: left out: it is unlogged/);
  expectProblem(/warning public.lines: the unique index lines_sku_key does not hold the routing key/);
  expectProblem(/warning public.lines: the foreign key lines_order_id_fkey reaches across shards/);
  expectProblem(
    /warning public.other: the foreign key other_order_id_fkey reaches from every server into the shards of orders/,
  );
  expectProblem(/error public.slugs: .*it needs the function public.slug\(text\)/);
  expectProblem(/warning null: view public.paid is not carried over/);
  expectProblem(/warning null: sequence public.loose belongs to no column and is not carried over/);
  expectProblem(/warning public.tenant: when the routing key of a row changes and a large value .*in name/);
  expect(problems.join('\n')).not.toMatch(/orders_tenant_id_fkey/);
  await expect(f.engine.initReplica('shop')).rejects.toThrow(/cannot be imported yet/);
  expect(await f.source('select from pg_publication')).toEqual([]);
  expect(await f.source('select slot_name from pg_replication_slots where database = current_database()')).toEqual([]);
});

it('cleans up behind itself: drop-source takes slot and publication away', async () => {
  const f = await postgresFixture(server(), { extra: 'create table t (id int primary key)' });
  await f.init();
  const slots = (): Promise<unknown[]> =>
    f.source('select slot_name from pg_replication_slots where database = current_database()');
  expect(await slots()).toHaveLength(1);
  expect((await f.engine.showStatus('shop')).retained).toMatchObject({ state: 'reserved' });
  const stop = await f.start();
  await stop();
  await f.engine.dropSource('shop');
  await waitFor(async () => (await slots()).length === 0);
  expect(await f.source('select from pg_publication')).toEqual([]);
});
