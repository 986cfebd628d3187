// What a foreign key's CASCADE and SET NULL do to children is in no log of MySQL's: the target has to do the same.
import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { CASCADE_TABLES, CREATE_CASCADES, startCascadeLoad } from './cascade-load.ts';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mariadbOfFile, textRows } from './fixture.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();

const CHAIN = `
  create table owner (id int primary key, name varchar(20));
  create table account (
    id int primary key,
    owner_id int,
    code varchar(20) unique,
    foreign key (owner_id) references owner (id) on delete cascade on update cascade
  );
  create table entry (
    id int auto_increment primary key,
    account_id int,
    note varchar(40),
    foreign key (account_id) references account (id) on delete cascade on update cascade
  );
  create table tag (
    id int primary key,
    owner_id int,
    label varchar(20),
    foreign key (owner_id) references owner (id) on delete set null on update cascade
  );
  insert into owner values (1, 'one'), (2, 'two'), (3, 'three');
  insert into account values (10, 1, 'a'), (20, 2, 'b'), (30, 3, 'c');
  insert into entry (account_id, note) values (10, 'x'), (10, 'y'), (20, 'z'), (30, null);
  insert into tag values (1, 1, 'p'), (2, 2, 'q'), (3, 3, 'r'), (4, null, 's')`;

async function running(create: string, options: Parameters<typeof importFixture>[1] = {}): Promise<ImportFixture> {
  const f = await importFixture(mariadb(), options);
  await f.source(create);
  await f.init();
  await f.start();
  return f;
}

/** Every row of the tables, as text, in source and target. */
async function expectEqual(f: ImportFixture, tables: readonly string[]): Promise<void> {
  expect(await f.rows('select table_name, message, sql from hypervault.import_error')).toEqual([]);
  for (const table of tables) {
    const theirs = (await f.source(`select * from ${table} order by 1, 2`)).map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
    );
    expect({ table, rows: await textRows(f.target, `select * from ${f.schema}.${table} order by 1, 2`) }).toEqual({
      table,
      rows: theirs,
    });
  }
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
}

describe('cascades', () => {
  it('delete, let go and move children, level by level', async () => {
    const f = await running(CHAIN);
    await f.source('delete from owner where id = 1');
    await f.source('update owner set id = 22 where id = 2');
    await f.source('update account set id = 33 where id = 30');
    await f.caughtUp();
    await expectEqual(f, ['owner', 'account', 'entry', 'tag']);
  });

  it('keep their place among other changes of one transaction', async () => {
    const f = await running(CHAIN);
    await f.source(`begin;
      insert into entry (account_id, note) values (10, 'goes with its owner');
      update account set owner_id = 2 where id = 10;
      delete from owner where id = 1;
      insert into owner values (1, 'again');
      insert into account values (11, 1, 'new'), (12, 2, 'n2');
      insert into entry (account_id, note) values (11, 'stays'), (10, 'stays too');
      delete from owner where id = 3;
      insert into account values (30, 1, 'c');
      insert into entry (account_id, note) values (30, 'new child of an old key');
      update owner set id = 5 where id = 1;
      update owner set id = 1 where id = 2;
      update owner set id = 2 where id = 5;
      update tag set owner_id = 2, label = 'moved' where id = 4;
      commit`);
    await f.caughtUp();
    await expectEqual(f, ['owner', 'account', 'entry', 'tag']);
  });

  it('heed what the session, and statements in the stream, say of foreign keys', async () => {
    const f = await running(CHAIN);
    await f
      .source(`set foreign_key_checks = 0; delete from owner where id = 1; set foreign_key_checks = 1;
      insert into owner values (1, 'one');
      alter table tag drop foreign key tag_ibfk_1;
      delete from owner where id = 2;
      alter table tag add constraint tag_owner foreign key (owner_id) references owner (id) on delete cascade;`)
      .catch(
        // Row 2 refers to nobody now; the key is refused
        (error: Error) => expect(error.message).toMatch(/foreign key/i),
      );
    await f.source(`update tag set owner_id = 3 where owner_id = 2;
      alter table tag add constraint tag_owner foreign key (owner_id) references owner (id) on delete cascade;
      rename table owner to proprietor;
      alter table proprietor change id number int;
      create table note (id int primary key, tag_id int references tag (id) on delete cascade);
      insert into note values (1, 1), (2, 2), (3, 3);
      insert into entry (account_id, note) values (10, 'last');
      delete from proprietor where number = 3;
      update proprietor set name = 'x' where number = 1`);
    await f.caughtUp();
    await expectEqual(f, ['proprietor', 'account', 'entry', 'tag', 'note']);
    expect((await f.source('select count(*) as n from note'))[0]).toEqual({ n: 1 });
  });

  it('set a table aside that gets a foreign key to a parent which is aside', async () => {
    const f = await running(`create table parent (id int primary key, v int);
      create table child (id int primary key, parent_id int); create table grandchild (id int primary key, child_id int,
        foreign key (child_id) references child (id) on delete cascade);
      insert into parent values (1, 1); insert into child values (10, 1); insert into grandchild values (100, 10)`);
    await f.target.query(`alter table ${f.schema}.parent add constraint small check (v < 100)`);
    const asides = async (): Promise<unknown[]> =>
      (await f.rows("select origin_table as t from hypervault.import_table where state = 'aside' order by 1")).map(
        ({ t }) => t,
      );
    await f.source('insert into parent values (2, 500)');
    await waitFor(async () => (await asides()).length === 1, { what: 'the parent set aside' });
    await f.source('alter table child add foreign key (parent_id) references parent (id) on delete cascade');
    // No log tells what it takes with it
    await f.source('delete from parent where id = 1');
    await f.caughtUp();
    await waitFor(async () => (await asides()).length === 3, { what: 'all that depends on it set aside' });
    await f.target.query(`alter table ${f.schema}.parent drop constraint small`);
    await f.engine.syncTables('shop', 'disabled');
    await f.rows('delete from hypervault.import_error');
    await expectEqual(f, ['parent', 'child', 'grandchild']);
  });

  it('set the children aside with a parent that cannot be followed, and come back with it', async () => {
    const f = await running(CHAIN, { source: { value_policy: { date: 'error' } } });
    await f.source("alter table owner add column born date; insert into owner values (9, 'nine', '2020-01-01')");
    await f.source(
      "set sql_mode = ''; update owner set born = '0000-00-00' where id = 9; insert into owner values (8, '', null)",
    );
    await f.source('delete from owner where id = 1');
    await f.caughtUp();
    await waitFor(
      async () =>
        (await f.rows("select origin_table as t from hypervault.import_table where state = 'aside'")).length === 4,
      { what: 'the owner and all that depends on it set aside' },
    );
    await f.source('update owner set born = null');
    await expect(f.engine.syncTables('shop', [`${f.schema}.tag`])).rejects.toThrow(/owner.* is set aside|name both/);
    await f.engine.syncTables('shop', 'disabled');
    await f.start();
    await f.source('delete from owner where id = 2');
    await f.caughtUp();
    await f.rows('delete from hypervault.import_error');
    await expectEqual(f, ['owner', 'account', 'entry', 'tag']);
  });

  it('leave the same rows under a mixed load, killed in between', { timeout: 90_000 }, async () => {
    const f = await importFixture(mariadb());
    await f.source(CREATE_CASCADES);
    await f.init();
    const load = startCascadeLoad(f.server, f.schema, { seed: 11, pauseMs: 6 });
    // A backlog, so that batches hold many transactions
    await waitFor(() => load.transactions > 150, { timeoutMs: 20_000, what: '150 transactions' });
    for (let kill = 0; kill < 2; kill++) {
      const replica = startReplicaProcess(f.config, 'start');
      await waitFor(() => replica.lines.length > 3, { timeoutMs: 50_000, what: 'the replica applying' });
      await new Promise((resolve) => setTimeout(resolve, 100 + kill * 130));
      await replica.kill();
    }
    await load.stop();
    await f.start();
    await expectCascaded(f);
  });

  it('pass through the log between two workers', { timeout: 60_000 }, async () => {
    const f = await importFixture(mariadb(), { source: { mode: 'log' } });
    await f.source(CREATE_CASCADES);
    await f.init();
    await f.start();
    const load = startCascadeLoad(f.server, f.schema, { seed: 5, pauseMs: 6 });
    await waitFor(() => load.transactions > 150, { timeoutMs: 20_000, what: '150 transactions' });
    await load.stop();
    await expectCascaded(f);
  });
});

async function expectCascaded(f: ImportFixture): Promise<void> {
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  for (const [table, columns] of Object.entries(CASCADE_TABLES)) await expectSameRows(f, table, columns);
  await expectSameRows(f, 'slot', ['owner_id', 'n', 'v'], 'owner_id * 1000 + n');
}
