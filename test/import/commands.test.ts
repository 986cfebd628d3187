import { describe, expect, it } from 'vitest';
import { PreflightError, ReplicaEngine } from '../../src/import/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, ITEM_COLUMNS, startLoad } from './load.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();

const SHOP = `
  create table customer (id int unsigned auto_increment primary key, name varchar(40) not null comment 'full name', email varchar(80) unique,
    constraint long_name check (char_length(name) > 1)) comment 'who buys';
  create table orders (id bigint auto_increment primary key, customer_id int unsigned not null, total decimal(10,2) default 0.00,
    doubled decimal(11,2) as (total * 2) stored,
    constraint orders_customer foreign key (customer_id) references customer (id) on delete cascade on update cascade);
  insert into customer (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x');
  insert into orders (customer_id, total) values (1, 10), (1, 20), (2, 30)`;

describe('commands', () => {
  it('reports everything that is wrong at once, and changes nothing', async () => {
    const f = await importFixture(mariadb(), { source: { grant_select_to: ['nobody_here'], limit_tables: ['x.y'] } });
    await mariadb().query('set global binlog_row_image = MINIMAL; set global binlog_row_metadata = MINIMAL');
    try {
      await f.engine.createReplicaSchema();
      await f.engine.addSource('shop');
      const problems = await f.engine.preflight('shop');
      expect(problems.filter(({ level }) => level === 'error').map(({ message }) => message.split(' ')[0])).toEqual([
        'binlog_row_image',
        'binlog_row_metadata',
      ]);
      expect(problems.filter(({ level }) => level === 'warning').map(({ message }) => message)).toEqual([
        expect.stringMatching(/limit_tables names it/),
        expect.stringMatching(/nobody_here/),
      ]);
      await expect(f.engine.initReplica('shop')).rejects.toThrow(PreflightError);
      expect(await f.rows(`select from pg_namespace where nspname = $1`, [f.schema])).toEqual([]);
    } finally {
      await mariadb().query('set global binlog_row_image = FULL; set global binlog_row_metadata = FULL');
    }
  });

  it('knows its sources: registered once, refused when unknown or when schemas clash', async () => {
    const f = await importFixture(mariadb());
    await expect(f.engine.addSource('shop')).rejects.toThrow(/create-replica-schema/);
    await f.engine.createReplicaSchema();
    expect(await f.engine.createReplicaSchema()).toEqual({ applied: [] });
    await expect(f.engine.addSource('shpo')).rejects.toThrow(/no source "shpo".*shop/);
    await expect(f.engine.startReplica('shop')).rejects.toThrow(/not registered.*add-source/);
    expect(await f.engine.addSource('shop')).toEqual({ added: true });
    expect(await f.engine.addSource('shop')).toEqual({ added: false });
    await expect(f.engine.startReplica('shop')).rejects.toThrow(/init-replica first/);
    const twin = new ReplicaEngine({ config: { ...f.config, sources: { twin: f.config.sources.shop } } });
    await expect(twin.addSource('twin')).rejects.toThrow(/belongs to the source shop/);
    await twin.close();
    expect(await f.engine.showSources()).toMatchObject([{ name: 'shop', type: 'mysql', status: 'ready' }]);
    await f.engine.dropSource('shop');
    expect(await f.engine.showStatus()).toEqual([]);
    await f.engine.dropReplicaSchema();
    expect(await f.rows(`select from pg_tables where tablename like 'import\\_%'`)).toEqual([]);
  });

  it('hides secrets in show-config', async () => {
    const f = await importFixture(mariadb(), { config: { rollbar_key: 'roll-secret', rollbar_env: 'test' } });
    const text = JSON.stringify(await f.engine.showConfig());
    expect(text).not.toMatch(/mariadb-secret|roll-secret/);
    expect(text).toContain('********');
  });

  it('carries structure over, and detaches to a database that stands on its own', async () => {
    const f = await importFixture(mariadb());
    await f.source(SHOP);
    await f.init();
    await f.start();
    await f.source("insert into customer (name) values ('Cid'); delete from orders where id = 3");
    // Not applied yet when detach begins: it waits for it
    const result = await f.engine.detachReplica('shop');
    expect(result.foreignKeys).toEqual([
      { table: `${f.schema}.orders`, name: 'orders_customer', made: true, reason: null },
    ]);
    expect(result.sequences).toBe(2);
    expect(await f.engine.showStatus()).toEqual([]);
    await f.target.query(`insert into ${f.schema}.customer (name) values ('Dee')`);
    await f.target.query(`insert into ${f.schema}.orders (customer_id, total, doubled) values (4, 5, 10)`);
    expect(await f.rows(`select id::int as id, total, doubled from ${f.schema}.orders order by id`)).toEqual([
      { id: 1, total: '10.00', doubled: '20.00' },
      { id: 2, total: '20.00', doubled: '40.00' },
      { id: 4, total: '5.00', doubled: '10.00' },
    ]);
    await f.target.query(`update ${f.schema}.customer set id = 40 where id = 4; `);
    await f.target.query(`delete from ${f.schema}.customer where id = 1`);
    expect(await f.rows(`select customer_id::int as c from ${f.schema}.orders`)).toEqual([{ c: 40 }]);
    await expect(f.target.query(`insert into ${f.schema}.customer (name) values ('X')`)).rejects.toThrow(/long_name/);
    await expect(f.target.query(`insert into ${f.schema}.customer (name) values (null)`)).rejects.toThrow(/not-null/);
    const [comments] = await f.rows(
      `select obj_description('${f.schema}.customer'::regclass) as t, col_description('${f.schema}.customer'::regclass, 2) as c`,
    );
    expect(comments).toEqual({ t: 'who buys', c: 'full name' });
  });

  it('copies the structure alone', async () => {
    const f = await importFixture(mariadb());
    await f.source(SHOP);
    await f.engine.createReplicaSchema();
    await f.engine.addSource('shop');
    expect(await f.engine.copySchema('shop')).toMatchObject({ tables: 2, foreignKeys: [{ made: true }] });
    expect(await f.rows(`select count(*)::int as n from ${f.schema}.orders`)).toEqual([{ n: 0 }]);
    expect(await f.engine.showStatus()).toMatchObject([{ status: 'ready' }]);
  });

  it('syncs a table that was set aside, while the source goes on', async () => {
    const f = await importFixture(mariadb());
    await f.source(
      `${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0); create table bad (id int primary key, v int)`,
    );
    await f.init();
    await f.target.query(`alter table ${f.schema}.bad add constraint small check (v < 100)`);
    const stop = await f.start();
    const load = startLoad(f, { seed: 3, pauseMs: 2 });
    await f.source('insert into bad values (1, 500), (2, 2)');
    await waitFor(async () => (await f.engine.showStatus('shop')).setAside.length === 1);
    await expect(f.engine.detachReplica('shop')).rejects.toThrow(/set aside.*sync-tables/);
    await stop();
    await f.source('insert into bad values (3, 3)');
    const result = await f.engine.syncTables('shop', 'disabled');
    expect(result.tables).toEqual([{ table: `${f.schema}.bad`, rows: 3, failure: null }]);
    await f.source('insert into bad values (4, 4); update bad set v = 5 where id = 1');
    await f.start();
    await load.stop();
    await f.caughtUp();
    await expectSameRows(f, 'bad', ['id', 'v']);
    await expectSameRows(f, 'items', ITEM_COLUMNS);
    const [row] = await f.engine.showStatus();
    expect(row).toMatchObject({ status: 'running', behind: null });
    await waitFor(async () => (await f.engine.showStatus('shop')).consistent);
  });

  it('refreshes one schema', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.init();
    await f.target.query(`delete from ${f.schema}.t`);
    await f.engine.refreshSchema('shop', f.schema);
    await f.source('insert into t values (2)');
    await f.start();
    await f.caughtUp();
    expect(await f.rows(`select id from ${f.schema}.t order by 1`)).toEqual([{ id: 1 }, { id: 2 }]);
    await expect(f.engine.refreshSchema('shop', 'nope')).rejects.toThrow(/not mapped/);
  });

  it('renames target schemas', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.init();
    const shop = { ...f.config.sources.shop, schema_mappings: { [f.schema]: 'renamed' } };
    const engine = new ReplicaEngine({ config: { ...f.config, sources: { shop } } });
    await f.source('insert into t values (2)');
    expect(await engine.updateSchemaMappings('shop')).toEqual({
      renamed: [{ from: f.schema, to: 'renamed' }],
      removed: [],
      added: [],
    });
    await f.source('insert into t values (3)');
    const stop = new AbortController();
    const run = engine.startReplica('shop', { signal: stop.signal });
    await f.caughtUp();
    expect(await f.rows('select id from renamed.t order by 1')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    stop.abort();
    await run;
    await engine.close();
  });

  it('reads and replays in workers apart, and both survive being killed', { timeout: 60_000 }, async () => {
    const f = await importFixture(mariadb(), { source: { mode: 'log' } });
    await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0)`);
    await f.init();
    const load = startLoad(f, { seed: 11, pauseMs: 1 });
    const reading = new AbortController();
    const read = f.engine.readReplica('shop', { signal: reading.signal });
    await waitFor(async () => (await f.rows('select from hypervault.import_log')).length > 12);
    await f.source(
      'alter table items add column extra int not null default 4; create table fresh (id int primary key); insert into fresh values (1); drop table fresh',
    );
    reading.abort();
    await read;
    for (let kill = 0; kill < 3; kill++) {
      const both = startReplicaProcess(f.config, 'start');
      await waitFor(() => both.lines.length > 2, { timeoutMs: 20_000 });
      await both.kill();
    }
    const engine = f.another();
    const stop = new AbortController();
    const workers = [
      f.engine.readReplica('shop', { signal: stop.signal }),
      engine.replayReplica('shop', { signal: stop.signal }),
    ];
    await waitFor(async () => (await f.rows('select from hypervault.import_statement')).length >= 3);
    await load.stop();
    await f.caughtUp();
    await expectSameRows(f, 'items', [...ITEM_COLUMNS, 'extra']);
    await expectSameRows(f, 'counters', ['id', 'n']);
    await waitFor(async () => (await f.rows('select from hypervault.import_log')).length === 0);
    stop.abort();
    await Promise.all(workers);
  });

  it('stops from another process, pauses for maintenance, and shows no lag when the source is idle', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.init();
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.includes('"started"'), { timeoutMs: 20_000 });
    await expect(f.engine.startReplica('shop')).rejects.toThrow(/another process/);
    const maintained = await f.engine.runMaintenance('shop', { full: true });
    expect(maintained.tables).toContain('pg_conn: hypervault.import_position');
    await f.source('insert into t values (2)');
    await f.caughtUp();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const [status] = await f.engine.showStatus();
    expect(status!.readLagMs).toBeLessThan(2_000);
    expect(status!.replayLagMs).toBeLessThan(2_000);
    const details = await f.engine.showStatus('shop');
    expect(details).toMatchObject({ tables: { followed: 1, copying: 0, aside: 0 }, replayed: { changes: 1n } });
    expect(details.lastMaintenance).toBeInstanceOf(Date);
    expect(await f.engine.stopAllReplicas()).toEqual(['shop']);
    await replica.finished();
    expect((await f.engine.showStatus())[0]!.status).toBe('stopped');
  });

  it('upgrades only when nothing is at work, and says so of a killed one', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table t (id int primary key)');
    await f.init();
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.includes('"started"'), { timeoutMs: 20_000 });
    await replica.kill();
    expect((await f.engine.showStatus())[0]!.status).toBe('stopped');
    expect(await f.engine.upgradeReplicaSchema()).toEqual({ applied: [], stopped: [], takenOver: [] });
  });
});
