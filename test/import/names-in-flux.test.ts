// The reader is ahead of what is applied, and names of tables go round between: what a kill, or a copy, finds then.
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';
import { holdOpen } from './held-session.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();
const HOLD_POSITION = 'select from hypervault.import_position for update';
const IN_TURN = { timeout: 120_000 };

function within(what: string): { timeoutMs: number; everyMs: number; what: string } {
  return { timeoutMs: 50_000, everyMs: 20, what };
}

/** By what the source calls them, as it was applied. */
async function tablesIn(f: ImportFixture, state: string): Promise<string[]> {
  const rows = await f.rows<{ name: string }>(
    `select source_structure->>'name' as name from hypervault.import_table where state = $1 order by 1`,
    [state],
  );
  return rows.map(({ name }) => name);
}

async function expectNoErrors(f: ImportFixture): Promise<void> {
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
}

it('tells of a table that lost its name before the copy of the one that has it', IN_TURN, async () => {
  const f = await importFixture(mariadb());
  await f.source(`create table a (id int primary key, v int); insert into a values (1, 1);
    create table log (id int primary key); insert into log values (1)`);
  await f.init();
  await (await f.start())();
  await f.source(`rename table a to b; create table a (id int primary key, w text); insert into a values (2, 'x');
    create table _new (id int primary key, v int); insert into _new values (7, 7);
    rename table log to _old, _new to log; drop table _old`);
  await f.engine.syncTables('shop', [`${f.schema}.a`, `${f.schema}.log`]);
  const stop = await f.start();
  await f.source(`insert into a values (3, 'y'); insert into b values (4, 4); insert into log values (8, 8)`);
  await f.caughtUp();
  // What was the table of the name is somewhere else, without a copy of its own
  expect(await tablesIn(f, 'aside')).toEqual(['b']);
  expect(await tablesIn(f, 'followed')).toEqual(['a', 'log']);
  await stop();
  await f.engine.syncTables('shop', 'disabled');
  await f.start();
  await f.source('insert into b values (5, 5); update a set w = null');
  await f.caughtUp();
  expect(await expectSameDatabase(f)).toEqual({ a: 2, b: 3, log: 2 });
});

it.each(['direct', 'log'])('copies by names that a killed reader had given away (mode %s)', IN_TURN, async (mode) => {
  const f = await importFixture(mariadb(), { source: { mode } });
  await f.source('create table a (id int primary key, v int); insert into a values (1, 1)');
  await f.init();
  const replica = startReplicaProcess(f.config, 'start');
  await f.source('insert into a values (2, 2)');
  await f.caughtUp();
  const letGo = await holdOpen(f.target, HOLD_POSITION);
  await f.source('insert into a values (3, 3)');
  await f.source('rename table a to b; create table a (id int primary key, w text)');
  await waitFor(async () => (await tablesIn(f, 'followed')).length === 2, within('the new table being read of'));
  await replica.kill();
  await letGo();
  await f.source("insert into a values (4, 'x'); insert into b values (5, 5)");
  await f.engine.syncTables('shop', [`${f.schema}.a`]);
  const stop = await f.start();
  await f.source("insert into a values (6, 'x'); insert into b values (7, 7)");
  await f.caughtUp();
  expect(await tablesIn(f, 'aside')).toEqual(['b']);
  await stop();
  await f.engine.syncTables('shop', 'disabled');
  await f.start();
  await f.source('delete from b where id = 1; update a set w = null');
  await f.caughtUp();
  expect(await tablesIn(f, 'followed')).toEqual(['a', 'b']);
  expect(await expectSameDatabase(f)).toEqual({ a: 2, b: 4 });
});

it('keeps a table in mind that was renamed, set aside, and followed by another under its name', IN_TURN, async () => {
  const told: string[] = [];
  const f = await importFixture(mariadb(), { onNotice: ({ message }) => told.push(message) });
  await f.source('create table a (id int primary key, v int); insert into a values (1, 1)');
  await f.init();
  await f.start();
  // What is set aside is in the catalogue before the next batch is applied: that has to be read behind one that waits
  const letGoOfBatch = await holdOpen(f.target, HOLD_POSITION);
  await f.source('insert into a values (2, 2)');
  await waitFor(
    async () =>
      (await f.rows(`select from pg_stat_activity where query ~ 'import_position' and wait_event_type = 'Lock'`))
        .length > 0,
    within('a batch that waits'),
  );
  await f.source("rename table a to b; set session binlog_format = 'STATEMENT'; update b set v = v + 1");
  await waitFor(() => told.some((message) => message.includes('binlog_format')), within('the statement being read'));
  const letGo = await holdOpen(f.target, 'lock table hypervault.import_structure in exclusive mode');
  await letGoOfBatch();
  await waitFor(async () => (await tablesIn(f, 'aside')).length === 1, within('the table being set aside'));
  await f.source('create table a (id int primary key); insert into a values (9)');
  await waitFor(async () => (await tablesIn(f, 'followed')).length === 1, within('the other being read of'));
  await letGo();
  await f.caughtUp();
  await waitFor(async () => (await tablesIn(f, 'aside')).join() === 'b', within('the name being told'));
  await f.engine.syncTables('shop', 'disabled');
  await f.start();
  await f.source('insert into a values (10); insert into b values (3, 3)');
  await f.caughtUp();
  expect(await expectSameDatabase(f)).toEqual({ a: 2, b: 3 });
});

it('makes a table that a killed reader had registered and not yet put into the log', IN_TURN, async () => {
  const f = await importFixture(mariadb(), { source: { mode: 'log' } });
  await f.source('create table t (id int primary key); insert into t values (1)');
  await f.init();
  const replica = startReplicaProcess(f.config, 'start');
  await f.source('insert into t values (2)');
  await f.caughtUp();
  const held = [await holdOpen(f.target, HOLD_POSITION)];
  await f.source('insert into t values (3)');
  await waitFor(async () => (await f.rows('select from hypervault.import_log')).length > 0, within('the log'));
  held.push(await holdOpen(f.target, 'lock table hypervault.import_log in exclusive mode'));
  await f.source('create table n (id int primary key); insert into n values (1)');
  await waitFor(async () => (await tablesIn(f, 'followed')).includes('n'), within('the table being read of'));
  await replica.kill();
  for (const letGo of held) await letGo();
  await f.start();
  await f.source('insert into n values (2)');
  await f.caughtUp();
  await expectNoErrors(f);
  expect(await expectSameDatabase(f)).toEqual({ n: 2, t: 3 });
});

it('leaves a table aside that is set aside while indexes wait for the copy to be consistent', IN_TURN, async () => {
  const f = await importFixture(mariadb(), { source: { mode: 'log' } });
  await f.source('create table t (id int primary key, v int); insert into t values (1, 1)');
  await f.init();
  // As after a copy that went on after a kill
  await f.rows(`update hypervault.import_source set consistent = false, high_water = 0`);
  await f.rows(`update hypervault.import_table
    set copied_at = jsonb_set(copied_at, '{column}', '"id"') || '{"ranges":[{"from":"5","ordinal":"0"}]}',
        pending_indexes = '[{"name":"late","unique":true,"columns":[{"name":"v","prefix":null,"descending":false}]}]'`);
  const letGo = await holdOpen(f.target, `lock table ${f.schema}.t in row exclusive mode`);
  await f.start();
  await f.source('insert into t values (2, 2)');
  await waitFor(
    async () =>
      (await f.rows(`select from pg_stat_activity where query ~ 'index "late"' and wait_event_type = 'Lock'`)).length >
      0,
    within('the index being made'),
  );
  await f.source("set session binlog_format = 'STATEMENT'; update t set v = v + 5");
  await waitFor(async () => (await tablesIn(f, 'aside')).length === 1, within('the table being set aside'));
  await letGo();
  await waitFor(
    async () => (await f.rows('select from hypervault.import_source where consistent')).length === 1,
    within('consistency'),
  );
  expect(await tablesIn(f, 'aside')).toEqual(['t']);
});
