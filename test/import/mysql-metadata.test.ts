// What MySQL's information_schema says otherwise than MariaDB's.
import { expect, it } from 'vitest';
import { importFixture, mysqlOfFile } from './fixture.ts';

const mysql = mysqlOfFile({ 'sql-generate-invisible-primary-key': 'on' });

it('carries defaults over, binary ones and those with long characters too', async () => {
  const f = await importFixture(mysql());
  await f.source(`create table t (
    id int primary key,
    n int not null default (1 + 1),
    word varchar(20) not null default 'it''s 😀? \\\\',
    state enum('new','é😀') not null default 'é😀',
    tags set('x','it''s') not null default 'x,it''s',
    pad binary(3) not null default 'ab',
    raw varbinary(6) not null default 0x00ff0041,
    text_raw varbinary(6) not null default 'a\\'b',
    bits bit(3) not null default b'101',
    ratio double not null default 1e10,
    doc json default (json_array()),
    made datetime(3) not null default current_timestamp(3),
    hidden int not null default 7 invisible
  )`);
  // Rows know the label that the metadata show with a question mark
  await f.source('insert into t (id) values (1)');
  await f.init();
  await f.rows(`insert into ${f.schema}.t (id, n) values (2, 2)`);
  const [theirs, ours] = await f.rows<Record<string, unknown>>(
    `select word, state, tags, pad, raw, text_raw, bits, ratio, hidden from ${f.schema}.t order by id`,
  );
  expect(ours).toEqual(theirs);
  expect(theirs).toMatchObject({ word: "it's 😀? \\", state: 'é😀', pad: Buffer.from('ab\0'), hidden: 7 });
  expect(theirs!.raw).toEqual(Buffer.from('00ff0041', 'hex'));
});

it('leaves out an index with a part that is an expression, whole', async () => {
  const f = await importFixture(mysql());
  await f.source(`create table t (id int primary key, a int, b varchar(10), j json, unique key both_parts (a, (lower(b))),
    key of_doc ((cast(j as unsigned array))), key plain (a desc) invisible)`);
  await f.source("insert into t values (1, 1, 'x', '[1]'), (2, 1, 'y', '[2]')");
  await f.init();
  const indexes = await f.rows<{ indexdef: string }>(
    `select indexdef from pg_indexes where schemaname = '${f.schema}' and tablename = 't' order by indexname`,
  );
  expect(indexes.map(({ indexdef }) => indexdef.replace(/.* using /i, ''))).toEqual(['btree (id)', 'btree (a DESC)']);
});

it('follows a table by the primary key that the server made and hides', async () => {
  await mysql().query('set global show_gipk_in_create_table_and_information_schema = off');
  const f = await importFixture(mysql());
  await f.source("create table t (a int, b varchar(10)); insert into t values (1, 'x'), (1, 'x')");
  await f.init();
  await f.start();
  await f.source("update t set b = 'y' limit 1; delete from t where b = 'x'; insert into t values (2, 'z')");
  await f.caughtUp();
  expect(await f.rows(`select * from ${f.schema}.t order by my_row_id`)).toEqual([
    { my_row_id: '1', a: 1, b: 'y' },
    { my_row_id: '3', a: 2, b: 'z' },
  ]);
});

it('knows the next number, which the server caches for a day', async () => {
  const f = await importFixture(mysql());
  await f.source('create table t (id int auto_increment primary key)');
  await f.source('select auto_increment from information_schema.tables where table_schema = ?', [f.schema]);
  await f.init();
  await f.start();
  await f.source('insert into t values (), (), (); delete from t where id = 3');
  await f.caughtUp();
  await f.engine.detachReplica('shop');
  expect(await f.rows(`insert into ${f.schema}.t default values returning id`)).toEqual([{ id: 4 }]);
});
