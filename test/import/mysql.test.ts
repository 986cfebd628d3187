// A real MySQL as the source: who may read it, what it must be set to, and what its log holds that MariaDB's does not.
import { describe, expect, it, onTestFinished } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mysqlOfFile } from './fixture.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, ITEM_COLUMNS, startLoad } from './load.ts';
import { startReplicaProcess } from './replica-process.ts';

const mysql = mysqlOfFile();

/** Sets a variable of the server until the test ends. */
async function setGlobal(name: string, value: string | number): Promise<void> {
  const [row] = (await mysql().query(`select @@global.${name} as v`)) as { v: unknown }[];
  await mysql().query(`set global ${name} = ?`, [value]);
  onTestFinished(() =>
    mysql()
      .query(`set global ${name} = ?`, [row!.v])
      .then(() => {}),
  );
}

describe('preflight', () => {
  it('is content with what MySQL sets by itself and names of columns', async () => {
    const f = await importFixture(mysql());
    await f.source('create table t (id int primary key)');
    await f.engine.createReplicaSchema();
    expect(await f.engine.preflight('shop')).toEqual([]);
  });

  it('refuses what the log would not tell as rows', async () => {
    const f = await importFixture(mysql());
    await f.source('create table t (id int primary key)');
    await f.engine.createReplicaSchema();
    await setGlobal('binlog_row_value_options', 'PARTIAL_JSON');
    await setGlobal('binlog_row_image', 'MINIMAL');
    await setGlobal('binlog_row_metadata', 'MINIMAL');
    await setGlobal('binlog_expire_logs_seconds', 3600);
    expect((await f.engine.preflight('shop')).map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'error: binlog_row_image is MINIMAL and must be FULL: set global binlog_row_image = FULL',
      'error: binlog_row_metadata is MINIMAL and must be FULL: set global binlog_row_metadata = FULL',
      "error: binlog_row_value_options has PARTIAL_JSON and must be empty: set global binlog_row_value_options = ''",
      'warning: the server keeps its binlog for 1.0 hours only; a replica that stands still longer has to be copied anew',
    ]);
  });
});

describe('a user of its own', () => {
  const login = async (name: string, requires: string): Promise<void> => {
    await mysql().query(`create user ${name}@'127.0.0.1' identified with caching_sha2_password by 'pass word' ${requires};
      grant select, replication slave, replication client, reload on *.* to ${name}@'127.0.0.1'`);
    onTestFinished(() =>
      mysql()
        .query(`drop user ${name}@'127.0.0.1'`)
        .then(() => {}),
    );
  };
  const followed = async (f: ImportFixture): Promise<void> => {
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.engine.createReplicaSchema();
    expect(await f.engine.preflight('shop')).toEqual([]);
    await f.init();
    await f.start();
    await f.source('insert into t values (2)');
    await f.caughtUp();
    expect(await f.rows(`select id from ${f.schema}.t order by id`)).toEqual([{ id: 1 }, { id: 2 }]);
  };

  it('with a password that never was given before, over a plain socket', async () => {
    await login('plain', '');
    const db_conn = { ...mysql().connection, user: 'plain', password: 'pass word' };
    await followed(await importFixture(mysql(), { source: { db_conn } }));
  });

  it('with TLS, where it is required', async () => {
    await login('secret', 'require ssl');
    const db_conn = { ...mysql().connection, user: 'secret', password: 'pass word' };
    const without = await importFixture(mysql(), { source: { db_conn } });
    await without.engine.createReplicaSchema();
    await expect(without.engine.preflight('shop')).rejects.toMatchObject({ code: 'AUTHENTICATION' });
    await followed(
      await importFixture(mysql(), { source: { db_conn: { ...db_conn, ssl: { rejectUnauthorized: false } } } }),
    );
  });
});

describe('the log', () => {
  it('is followed over GTIDs with tags, rotation, savepoints, statements and rolled back work', async () => {
    const f = await importFixture(mysql(), { source: { gtid_enable: true } });
    await f.source('create table t (id int primary key, v int)');
    await f.init();
    const stop = await f.start();
    const uuid = ((await mysql().query('select @@server_uuid as u')) as { u: string }[])[0]!.u;
    await f.source(`set gtid_next = 'automatic:blue'; insert into t values (1, 1); insert into t values (2, 2);
      set gtid_next = '${uuid}:green:7'; insert into t values (3, 3); set gtid_next = 'automatic'`);
    await f.source(
      'flush binary logs; begin; insert into t values (4, 4); savepoint a; insert into t values (5, 5); rollback to a; commit',
    );
    await f.source('begin; insert into t values (6, 6); rollback; replace into t values (4, 44)');
    await f.source(
      'alter table t add column w int not null default 9, algorithm = instant; insert into t values (7, 7, 7)',
    );
    await f.source('alter table t drop column v, algorithm = instant; update t set w = 10 where id = 1');
    await f.caughtUp();
    await stop();
    const [position] = await f.rows<{ gtid: string }>('select gtid from hypervault.import_position');
    expect(position!.gtid).toMatch(/^[0-9a-f-]{36}:1-\d+:blue:1-2:green:7$/);
    // Goes on from that set
    await f.source("set gtid_next = 'automatic:blue'; insert into t values (8, 8)");
    await f.start();
    await f.caughtUp();
    expect(await f.rows(`select * from ${f.schema}.t order by id`)).toEqual([
      { id: 1, w: 10 },
      { id: 2, w: 9 },
      { id: 3, w: 9 },
      { id: 4, w: 9 },
      { id: 7, w: 7 },
      { id: 8, w: 8 },
    ]);
    expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
  });

  it('has what foreign keys change, since 9.6', async () => {
    const f = await importFixture(mysql());
    await f.source(`create table parent (id int primary key);
      create table child (id int primary key, parent_id int, foreign key (parent_id) references parent (id) on delete cascade on update cascade);
      insert into parent values (1), (2), (3); insert into child values (10, 1), (11, 1), (12, 2), (13, 3)`);
    await f.init();
    await f.start();
    await f.source('delete from parent where id = 1; update parent set id = 20 where id = 2');
    await f.caughtUp();
    await expectSameRows(f, 'parent', ['id']);
    await expectSameRows(f, 'child', ['id', 'parent_id']);
    expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
  });

  it('sets a table aside when a session logs only parts of JSON values', async () => {
    const f = await importFixture(mysql());
    await f.source(`create table t (id int primary key, j json); create table other (id int primary key);
      insert into t values (1, json_object('k', 1, 'long', repeat('x', 500)))`);
    await f.init();
    await f.start();
    await f.source(`set session binlog_row_value_options = 'partial_json'; update t set j = json_set(j, '$.k', 2)`);
    await f.source('insert into other values (1)');
    await f.caughtUp();
    expect(await f.rows(`select * from ${f.schema}.other`)).toEqual([{ id: 1 }]);
    expect(await f.rows('select table_name, message, remedy from hypervault.import_error')).toEqual([
      {
        table_name: `${f.schema}.t`,
        message: expect.stringMatching(/binlog_row_value_options = PARTIAL_JSON/),
        remedy: `hypervault import sync-tables --tables ${f.schema}.t`,
      },
    ]);
  });

  it('loses and repeats nothing when the replica is killed', { timeout: 60_000 }, async () => {
    const f = await importFixture(mysql());
    await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0)`);
    await f.init();
    const load = startLoad(f, { seed: 9, pauseMs: 2 });
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.length > 1, { timeoutMs: 20_000, what: 'the replica applying' });
    await replica.kill();
    await load.stop();
    await f.start();
    await f.caughtUp();
    await expectSameRows(f, 'items', ITEM_COLUMNS);
    await expectSameRows(f, 'counters', ['id', 'n']);
  });
});
