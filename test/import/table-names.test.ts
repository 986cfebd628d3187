// Names of tables go round in the source while the target is behind: rotation of logs, changes by copies of tables.
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const mariadb = mariadbOfFile();
const postgres = logicalServerOfFile();

it.each([
  ['direct', 0],
  ['direct', 30],
  ['log', 0],
  ['log', 30],
])(
  'follows a table whose name is given to another at once (mode %s, a catalogue that takes %i ms)',
  {
    timeout: 60_000,
  },
  async (mode, ms) => {
    const f = await importFixture(mariadb(), { source: { mode } });
    await f.source(`create table log (id int primary key, v int); insert into log values (1, 1), (2, 2);
    create table again (id int primary key, v int); insert into again values (1, 1)`);
    await f.init();
    // What the reader writes ahead and what is noted of applied batches meet surely
    await f.rows(`create function public.take_long() returns trigger language plpgsql as $$
      begin perform pg_sleep(${ms} / 1000.0); return new; end $$;
      create trigger take_long before insert or update on hypervault.import_table
      for each row execute function public.take_long()`);
    const stop = await f.start();
    for (let n = 0; n < 6; n++) {
      await f.source(`rename table log to log_${n}; create table log like log_${n}; insert into log values (${n + 10}, 0);
      update log_${n} set v = v + 1; delete from log_${n} where id = 1`);
    }
    await f.source(`create table _log_new (id int primary key, v bigint, w int); insert into _log_new select id, v, 1 from log;
    rename table log to _log_old, _log_new to log; drop table _log_old; insert into log values (99, 9, 9)`);
    await f.source(
      'drop table again; create table again (id int primary key, w text); insert into again values (5, "w")',
    );
    await f.caughtUp();
    await expectSameDatabase(f);
    // What is known by number and name is right also for who begins anew
    await stop();
    await f.start();
    await f.source(
      'insert into again values (6, "x"); update log_1 set v = 7; delete from log_0; insert into log values (100, 1, 1)',
    );
    await f.caughtUp();
    expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
    expect(await expectSameDatabase(f)).toEqual({
      again: 2,
      log: 3,
      log_0: 0,
      log_1: 1,
      log_2: 1,
      log_3: 1,
      log_4: 1,
      log_5: 1,
    });
    const { tables } = await f.engine.verify('shop');
    expect(tables.map(({ table, state }) => `${table.split('.')[1]} ${state}`).sort()).toEqual(
      ['again', 'log', 'log_0', 'log_1', 'log_2', 'log_3', 'log_4', 'log_5'].map((name) => `${name} equal`),
    );
  },
);

it('follows a table that takes the place of one that was set aside', { timeout: 60_000 }, async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key, v int)');
  await f.init();
  await f.target.query(`alter table ${f.schema}.t add constraint small check (v < 100)`);
  await f.start();
  await f.source('insert into t values (1, 500)');
  await waitFor(async () => (await f.engine.showStatus('shop')).setAside.length === 1);
  await f.source(
    'insert into t values (2, 2); drop table t; create table t (id int primary key, v int); insert into t values (3, 300)',
  );
  await f.caughtUp();
  expect(await f.rows(`select id, v from ${f.schema}.t`)).toEqual([{ id: 3, v: 300 }]);
  expect((await f.engine.showStatus('shop')).setAside).toEqual([]);
});

it('loses no table of Postgres when two change their names', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(postgres(), {
    extra: `create table one (id int primary key, v int); create table two (id int primary key, v int);
      insert into one values (1, 1); insert into two values (1, 2)`,
  });
  await f.init();
  await f.start();
  await f.source('alter table one rename to three; alter table two rename to one; alter table three rename to two');
  await f.source('insert into two values (2, 1)');
  await f.source('insert into one values (2, 2)');
  await f.caughtUp();
  // Each stands in the way of the other, so both are told of, and nothing is read over
  const aside = async (): Promise<unknown[]> =>
    f.rows(`select source_structure->>'name' as name from hypervault.import_table where state = 'aside' order by 1`);
  await waitFor(async () => (await aside()).length > 0, {
    timeoutMs: 15_000,
    what: 'what stands in the way being told',
  });
  const { tables } = await f.engine.verify('shop');
  expect(tables.filter(({ state }) => state === 'equal')).toEqual([]);
  await f.engine.syncTables('shop', ['public.one', 'public.two']);
  await f.start();
  await f.source('insert into two values (3, 1); insert into one values (3, 2)');
  await f.caughtUp();
  expect(await f.rows('select id, v from one order by 1')).toEqual(await f.source('select id, v from one order by 1'));
  expect(await f.rows('select id, v from two order by 1')).toEqual(await f.source('select id, v from two order by 1'));
});
