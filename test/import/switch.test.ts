import { expect, it } from 'vitest';
import { shardFor } from '../../src/core/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';
import { CREATE_LOADED, startPostgresLoad } from './postgres-load.ts';
import { startReplicaProcess } from './replica-process.ts';

const server = logicalServerOfFile();
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 2);

const TENANTS = `
create table country (code text primary key, name text);
create table tenant (tenant_id int primary key, name text);
create table orders (id bigserial primary key, tenant_id int not null references tenant on delete cascade, note text, total int);
create table lines (order_id bigint references orders on delete cascade, n int, tenant_id int not null, primary key (order_id, n));
create table remarks (tenant_id int, what text);
create function forbid() returns trigger language plpgsql as $$ begin raise exception 'a trigger of the old database has fired'; end $$;
alter table orders alter note set storage external;
insert into country values ('at', 'Austria');
insert into tenant select n, 'tenant ' || n from generate_series(1, 20) n;
insert into orders (tenant_id, total, note) select n % 20 + 1, n, repeat('note ', 2000) from generate_series(1, 100) n;
insert into lines select id, 1, tenant_id from orders;
insert into remarks select n % 20 + 1, 'same' from generate_series(1, 60) n;`;

function placeOf(tenant: number): { schema: string; n: number } {
  const shard = shardFor(String(tenant), { slots: 8, firstShard: 1 });
  return { schema: `shard000${shard}`, n: shard <= 4 ? 0 : 1 };
}

/** Runs statements of an application in the shard of a tenant; \`$\` stands for its schema. */
async function inShard(f: PostgresFixture, tenant: number, sql: string): Promise<void> {
  const { schema, n } = placeOf(tenant);
  await f.targets[n]!.query(sql.replaceAll('$', schema));
}

async function equals(f: PostgresFixture): Promise<boolean> {
  const { equal, tables } = await f.engine.verify('shop');
  if (!equal)
    console.error(
      JSON.stringify(
        tables.filter(({ state }) => state !== 'equal'),
        (_, v) => (typeof v === 'bigint' ? String(v) : v),
      ),
    );
  return equal;
}

it('switches to the shards, brings their changes to the old database, goes back, and forth again for good', {
  timeout: 90_000,
}, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: TENANTS,
    source: { shard_by: 'tenant_id', reference_tables: ['country'], set_replica_identity: true },
  });
  await f.init();
  await f.start();
  await f.source(`create trigger angry before insert on orders for each row execute function forbid()`);
  const result = await f.engine.switchOver('shop');
  expect(result.foreignKeys.map(({ name, made }) => `${name} ${made}`)).toEqual([
    'lines_order_id_fkey true',
    'orders_tenant_id_fkey true',
  ]);
  // The old database takes no writes, the shards do, and the same command brings them back
  await expect(f.source('update tenant set name = null')).rejects.toMatchObject({ code: 'SV022' });
  await expect(f.source('truncate remarks')).rejects.toMatchObject({ code: 'SV022' });
  await expect(f.engine.initReplica('shop')).rejects.toThrow(/is switched/);
  expect(await f.source(`select slot_name from pg_replication_slots where database = current_database()`)).toEqual([]);
  const stop = await f.start();
  await inShard(
    f,
    1,
    `insert into $.orders (tenant_id, note, total) values (1, 'new', 1); insert into $.lines select id, 7, 1 from $.orders where note = 'new'`,
  );
  await inShard(
    f,
    2,
    `update $.orders set total = -1 where tenant_id = 2; update $.orders set id = id + 1000000 where tenant_id = 2 and id > 50 and id not in (select order_id from $.lines)`,
  );
  await inShard(
    f,
    3,
    `delete from $.tenant where tenant_id = 3; delete from $.remarks where ctid = (select min(ctid) from $.remarks where tenant_id = 4)`,
  );
  await f.rows(`insert into reference.country values ('de', 'Germany')`);
  await f.rows(`insert into reference.country values ('de', 'Germany')`, 1);
  // A row moves to another shard, once written there first and once taken away first
  const [from, to] = [placeOf(5), [6, 7, 8, 9, 10, 11].find((tenant) => placeOf(tenant).schema !== placeOf(5).schema)!];
  const [moved, second] = await f.rows<{ order_id: string }>(
    `select order_id from ${from.schema}.lines where tenant_id = 5 order by 1 limit 2`,
    from.n,
  );
  await inShard(f, to, `insert into $.orders values (${moved!.order_id}, ${to}, 'moved', 1)`);
  await waitFor(async () => (await f.source(`select from orders where note = 'moved'`)).length === 1, {
    timeoutMs: 15_000,
    what: 'the moved row',
  });
  await inShard(f, 5, `delete from $.orders where id in (${moved!.order_id}, ${second!.order_id})`);
  await inShard(f, to, `insert into $.orders values (${second!.order_id}, ${to}, 'moved too', 1)`);
  await waitFor(() => equals(f), {
    timeoutMs: 20_000,
    everyMs: 300,
    what: 'the old database holding what the shards hold',
  });
  expect(await f.source(`select id::text, tenant_id from orders where note like 'moved%' order by note`)).toEqual([
    { id: moved!.order_id, tenant_id: to },
    { id: second!.order_id, tenant_id: to },
  ]);
  expect(await f.source('select count(*)::int as n from lines where order_id not in (select id from orders)')).toEqual([
    { n: 0 },
  ]);
  await stop();
  // What nobody has brought over yet is brought on the way back
  await inShard(f, 1, `update $.tenant set name = 'last' where tenant_id = 1`);
  await f.engine.back('shop');
  expect(await f.source('select name from tenant where tenant_id = 1')).toEqual([{ name: 'last' }]);
  await f.source('drop trigger angry on orders');
  await f.source(
    `insert into orders (tenant_id, note) values (1, 'written in the old database'); delete from orders where tenant_id = 6; update tenant set name = 'again' where tenant_id = 1`,
  );
  await f.start();
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  expect(await equals(f)).toBe(true);
  const slots = (
    await Promise.all(
      [0, 1].map((n) => f.rows(`select from pg_replication_slots where database = current_database()`, n)),
    )
  ).flat();
  expect(slots).toEqual([]);
  // For good: the old database stays as it is and takes no writes, nothing of ours is left behind
  await f.engine.switchOver('shop');
  await f.start();
  await inShard(f, 1, `update $.tenant set name = 'for good' where tenant_id = 1`);
  await f.engine.finish('shop');
  expect(await f.source('select name from tenant where tenant_id = 1')).toEqual([{ name: 'for good' }]);
  await expect(f.source('delete from tenant')).rejects.toMatchObject({ code: 'SV022' });
  expect(await f.engine.showStatus()).toEqual([]);
  expect(await f.rows(`select from pg_replication_slots where database = current_database()`)).toEqual([]);
});

it(`loses and repeats nothing on the way back when it is killed ${KILLS} times under load`, {
  timeout: 60_000 + KILLS * 5_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: CREATE_LOADED });
  await f.source(`insert into items select n, 'c' || n, n, 'n', repeat('big', 2000) from generate_series(1, 500) n`);
  await f.init();
  await f.engine.switchOver('shop');
  const load = startPostgresLoad(f.targets[0]!.connection, { seed: 11, pauseMs: 1 });
  for (let kill = 0; kill < KILLS; kill++) {
    const replica = startReplicaProcess(f.config, 'start');
    const before = (await f.source('select n from counters where id = 2'))[0]!.n;
    await waitFor(async () => (await f.source('select n from counters where id = 2'))[0]!.n !== before, {
      timeoutMs: 20_000,
      what: 'changes flowing back',
    });
    await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 200));
    await replica.kill();
    expect(await f.source('select sum(n)::text as sum from counters')).toEqual([{ sum: '1000000' }]);
  }
  await load.stop();
  await f.engine.back('shop');
  await expectSame(f, 'items');
  await expectSame(f, 'counters');
  await f.start();
  const again = startPostgresLoad(f.sourceConnection, { seed: 12, pauseMs: 1 });
  await waitFor(() => again.transactions > 50, { timeoutMs: 20_000, what: 'some load' });
  await again.stop();
  await f.caughtUp();
  await expectSame(f, 'items');
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
});

it('ends a switch and a return that were killed on their way, without losing a row', { timeout: 90_000 }, async () => {
  const f = await postgresFixture(server(), { extra: CREATE_LOADED });
  await f.init();
  const load = startPostgresLoad(f.sourceConnection, { seed: 21, pauseMs: 1 });
  const killedWhen = async (command: 'switch' | 'back', sign: () => Promise<unknown[]>): Promise<void> => {
    const started = startReplicaProcess(f.config, command);
    await waitFor(async () => (await sign()).length > 0, {
      timeoutMs: 30_000,
      everyMs: 2,
      what: `${command} on its way`,
    });
    await started.kill();
  };
  const trigger = `select from pg_trigger where tgname = 'hypervault_refuse_writes'`;
  const slot = `select from pg_replication_slots where database = current_database()`;
  await killedWhen('switch', () => f.source(trigger));
  await killedWhen('switch', () => f.rows(slot));
  await f.engine.switchOver('shop').catch((error: unknown) => expect(String(error)).toMatch(/is switched already/));
  await load.stop();
  await expectSame(f, 'items');
  await expectSame(f, 'counters');
  const theirs = startPostgresLoad(f.targets[0]!.connection, { seed: 22, pauseMs: 1 });
  const before = theirs.transactions;
  await waitFor(() => theirs.transactions > before + 30, { timeoutMs: 20_000, what: 'some load' });
  await killedWhen('back', () => f.source(slot));
  // The target takes no writes now; once it is followed again it is not locked any more, and no place to write to
  await theirs.stop();
  await f.engine.back('shop');
  await expectSame(f, 'items');
  await f.source(`insert into items (id, code) values (-1, 'the old database takes writes')`);
  await f.start();
  await f.caughtUp();
  await expectSame(f, 'items');
  expect(await f.rows('select sum(n)::text as sum from counters')).toEqual([{ sum: '1000000' }]);
});

it('says what stands against the way back before it switches, and takes back a switch that was cut off', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: 'create table t (id serial primary key, tenant_id int); insert into t (tenant_id) values (1)',
    source: { shard_by: 'tenant_id', set_replica_identity: true },
  });
  await f.init();
  // It is known before the copy, and being refused stops nobody
  const warnings = (await f.engine.preflight('shop')).map(({ message }) => message);
  expect(warnings).toContainEqual(expect.stringMatching(/^id \(integer\) will hold ids of 64 bits in the shards/));
  const stop = await f.start();
  await expect(f.engine.switchOver('shop')).rejects.toThrow(
    /switched yet(?:.|\n)*public\.t: new rows of the shards will have ids in id that its integer in the old database cannot hold/,
  );
  expect(await f.engine.syncTables('shop', 'disabled')).toMatchObject({ tables: [] });
  expect(await f.engine.showStatus()).toMatchObject([{ direction: 'forward', status: 'running' }]);
  await f.source('insert into t (tenant_id) values (2)');
  await f.caughtUp();
  await stop();
  // As a process leaves it that was killed behind the lock
  await f.rows(`update hypervault.import_source set direction = 'switching'`);
  await expect(f.engine.startReplica('shop')).rejects.toThrow(/run hypervault import switch or back first/);
  await f.engine.back('shop');
  await f.source('insert into t (tenant_id) values (3)');
  await f.start();
  await f.caughtUp();
  expect(await equals(f)).toBe(true);
});
