import { expect, it } from 'vitest';
import { shardFor } from '../../src/core/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';
import { startReplicaProcess } from './replica-process.ts';

const server = logicalServerOfFile();

const SHOP = `
create table orders (id serial primary key, tenant_id int not null, total int default 0);
create table order_items (id serial primary key, order_id int not null references orders on delete cascade, sku text);
create table item_options (item_id int not null references order_items on delete cascade, name text, primary key (item_id, name));
insert into orders (tenant_id) select n % 20 from generate_series(1, 200) n;
insert into order_items (order_id, sku) select n % 200 + 1, 'sku ' || n from generate_series(1, 2000) n;
insert into item_options select n, 'gift' from generate_series(1, 2000, 3) n;`;
const ROUTED = { shard_by: 'tenant_id', set_replica_identity: true };

async function problemsOf(f: PostgresFixture): Promise<Map<string, { level: string; message: string; sql: string[] }>> {
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop').catch(() => {});
  const problems = await f.engine.preflight('shop');
  return new Map(
    problems
      .filter(({ level, message }) => level === 'error' || message.startsWith('it gets'))
      .map(({ level, table, message, sql }) => [table ?? '', { level, message, sql: [...(sql ?? [])] }]),
  );
}

/** Every row is in the shard of its order's tenant, and is what the source has. */
async function expectWithTheirOrders(f: PostgresFixture): Promise<void> {
  const [wrong] = await f.source(`
    select (select count(*)::int from order_items i join orders o on o.id = i.order_id where i.tenant_id <> o.tenant_id) as items,
           (select count(*)::int from item_options p join order_items i on i.id = p.item_id where p.tenant_id <> i.tenant_id) as options`);
  expect(wrong).toEqual({ items: 0, options: 0 });
  const { tables } = await f.engine.verify('shop');
  expect(tables).toHaveLength(3);
  for (const table of tables) expect(table).toMatchObject({ state: 'equal', differences: [], misplaced: [] });
  for (const table of ['orders', 'order_items', 'item_options']) {
    for (let shard = 1; shard <= 8; shard++) {
      const rows = await f.rows<{ tenant: string }>(
        `select distinct tenant_id::text as tenant from shard000${shard}.${table}`,
        shard <= 4 ? 0 : 1,
      );
      for (const { tenant } of rows) expect(shardFor(tenant, { slots: 8, firstShard: 1 })).toBe(shard);
    }
  }
}

it('routes a table by the tenant of its parent: rows that come, move, lose their order and change it, in one transaction too', {
  timeout: 60_000,
}, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: SHOP,
    source: { ...ROUTED, add_key_column: true },
  });
  const found = await problemsOf(f);
  expect([...found.keys()].sort()).toEqual(['public.item_options', 'public.order_items']);
  for (const { level, message } of found.values()) {
    expect(level).toBe('warning');
    expect(message).toMatch(/it gets the column tenant_id of public\.(orders|order_items)/);
  }
  // While the column is added and filled, and after it, everything goes on as before
  let stopping = false;
  const seeds = [1, 2, 3];
  const load = Promise.all(
    seeds.map(async (seed) => {
      let state = seed;
      const random = (below: number): number => {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        return Math.floor((state / 2_147_483_648) * below) + 1;
      };
      const change = (): string =>
        [
          () => `update orders set tenant_id = ${random(20)} where id = ${random(200)}`,
          () => `insert into order_items (order_id, sku) select id, 'new' from orders where id = ${random(200)}`,
          () => `with made as (insert into orders (tenant_id) values (${random(20)}) returning id), item as
                 (insert into order_items (order_id, sku) select id, 'same' from orders where id = ${random(200)} returning id)
                 insert into item_options select id, 'o' from item`,
          () =>
            `update order_items set order_id = coalesce((select id from orders where id = ${random(200)}), order_id) where id = ${random(2000)}`,
          () => `delete from orders where id = ${random(200)} and id % 9 = 0`,
          () => `begin; insert into orders values (${random(1000) + 1000 * seed}, ${random(20)}) on conflict do nothing;
                 insert into order_items (order_id, sku) select id, 'x' from orders where id = ${random(1000) + 1000 * seed};
                 update orders set tenant_id = ${random(20)} where id = ${random(1000) + 1000 * seed}; commit`,
        ][random(6) - 1]!();
      while (!stopping) {
        await f.source(change()).catch((error: { code?: string }) => {
          // Deadlocks of the load with itself
          if (error.code !== '40P01' && error.code !== '23503') throw error;
        });
      }
    }),
  );
  await f.init();
  await f.start();
  await f.source(`begin; insert into orders values (9001, 5), (9002, 6);
    insert into order_items (id, order_id, sku) values (90001, 9001, 'a'), (90002, 9002, 'b');
    insert into item_options values (90001, 'red'), (90002, 'blue');
    update orders set tenant_id = 7 where id = 9001; update order_items set order_id = 9002 where id = 90001; delete from orders where id = 9002; commit;
    begin; insert into orders values (9003, 8); insert into order_items (id, order_id) values (90003, 9003); insert into item_options values (90003, 'x'); commit;
    begin; update orders set tenant_id = 9 where id = 9003; insert into order_items (id, order_id) values (90004, 9003); commit;
    update order_items set tenant_id = 1 where id = 90004`);
  stopping = true;
  await load;
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  expect(await f.source('select id, tenant_id from order_items where id >= 90001 order by 1')).toEqual([
    { id: 90003, tenant_id: 9 },
    { id: 90004, tenant_id: 9 },
  ]);
  expect(await f.source('select tenant_id from item_options where item_id >= 90001')).toEqual([{ tenant_id: 9 }]);
  await expectWithTheirOrders(f);
});

it('says what it would do in statements that people can run themselves', async () => {
  const f = await postgresFixture(server(), { shards: true, extra: SHOP, source: ROUTED });
  const first = await problemsOf(f);
  expect(first.get('public.order_items')).toMatchObject({
    level: 'error',
    message: expect.stringMatching(/could have the column tenant_id of public.orders.*--add-key-column/),
  });
  for (const table of ['order_items', 'item_options'])
    for (const statement of first.get(`public.${table}`)!.sql) await f.source(statement);
  expect([...(await problemsOf(f)).keys()]).toEqual([]);
  await f.source('update orders set tenant_id = tenant_id + 1; delete from orders where id < 5');
  expect(
    await f.source(`select count(*)::int as n from item_options p join order_items i on i.id = p.item_id join orders o on o.id = i.order_id
      where (p.tenant_id, i.tenant_id) is distinct from (o.tenant_id, o.tenant_id)`),
  ).toEqual([{ n: 0 }]);
});

it('refuses ways by which the column could be wrong, and asks when there are several', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `${SHOP}
      create table loose (id int primary key, order_id int references orders);
      create table late (id int primary key, order_id int not null references orders deferrable);
      create table carts (id int primary key, tenant_id int);
      create table cart_items (id int primary key, cart_id int not null references carts);
      create table moved (id int primary key, old_order int not null references orders, new_order int not null references orders);
      create table parts (id int primary key, order_id int not null references orders) partition by range (id);
      create table lone (id int primary key);
      alter table orders add unique (id, tenant_id);
      create table named (id int primary key, order_id int, org int, foreign key (order_id, org) references orders (id, tenant_id));`,
    source: { ...ROUTED, add_key_column: true },
  });
  const found = await problemsOf(f);
  const expectError = (table: string, pattern: RegExp): void => {
    expect(found.get(`public.${table}`)).toMatchObject({ level: 'error', message: expect.stringMatching(pattern) });
  };
  expectError('loose', /order_id may be NULL/);
  expectError('late', /deferrable/);
  expectError('cart_items', /there it may be NULL/);
  expectError('moved', /several foreign keys.*moved_new_order_fkey.*--via moved=/);
  expectError('parts', /partitioned/);
  expectError('named', /its column org is the tenant_id of public.orders/);
  expectError('lone', /^it has no column tenant_id: give it a rule/);
  await expect(f.engine.initReplica('shop')).rejects.toThrow(/cannot be imported yet/);
  // Nothing was added
  expect(
    await f.source(`select from pg_attribute where attname = 'tenant_id' and attrelid = 'order_items'::regclass`),
  ).toEqual([]);
  const sections = (f.config.import as { sources: { shop: Record<string, unknown> } }).sources;
  sections.shop.shard_by = { '*': 'tenant_id', moved: { column: 'tenant_id', via: 'moved_old_order_fkey' } };
  const again = await f.another().preflight('shop');
  expect(again.find(({ table }) => table === 'public.moved')?.message).toMatch(
    /to which its moved_old_order_fkey leads/,
  );
});

it('goes on with a column whose filling was killed, and routes nothing by it before', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `${SHOP} insert into order_items (order_id, sku) select n % 200 + 1, 'more' from generate_series(1, 15000) n`,
    source: { ...ROUTED, add_key_column: true },
  });
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const filling = startReplicaProcess(f.config, 'init');
  const column = (): Promise<Record<string, unknown>[]> =>
    f.source(
      `select attnotnull as done, col_description(attrelid, attnum) as comment from pg_attribute
        where attname = 'tenant_id' and attrelid = 'order_items'::regclass`,
    );
  await waitFor(async () => (await column()).length > 0, { timeoutMs: 20_000, everyMs: 2, what: 'the column' });
  await filling.kill();
  expect(await column()).toEqual([{ done: false, comment: 'pg-hypervault is filling this column' }]);
  expect((await problemsOf(f)).get('public.order_items')!.message).toMatch(/it gets the column/);
  await f.init();
  expect(await column()).toEqual([{ done: true, comment: null }]);
  await expectWithTheirOrders(f);
});
