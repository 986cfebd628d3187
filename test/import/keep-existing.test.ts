import { expect, it } from 'vitest';
import { PreflightError } from '../../src/import/index.ts';
import { importFixture, mariadbOfFile, textRows } from './fixture.ts';

const mariadb = mariadbOfFile();
const SOURCE = { keep_existing_schema: 'Yes' };

it('fills tables that are there, and leaves them as they are', { timeout: 60_000 }, async () => {
  const f = await importFixture(mariadb(), { source: SOURCE });
  await f.source(`
    create table parent (id int auto_increment primary key, name varchar(20), at datetime(3), mood enum('good','bad'));
    create table child (id int auto_increment primary key, parent_id int, price decimal(8,2),
      foreign key (parent_id) references parent (id) on delete cascade);
    insert into parent values (1, 'one', '2025-01-02 03:04:05.678', 'good'), (2, 'two', null, 'bad');
    insert into child values (1, 1, 1.50), (2, 2, 2.25), (3, 1, null)`);
  const s = f.schema;
  // Their own types, columns, keys, view, trigger and grants
  await f.rows(`create schema ${s}`);
  await f.rows(`create type ${s}.mood as enum ('bad', 'good', 'middling')`);
  await f.rows(`
    create table ${s}.parent (
      id bigint generated always as identity primary key,
      name text,
      at timestamptz(6),
      mood ${s}.mood,
      seen timestamptz not null default now(),
      shout text generated always as (upper(name)) stored
    )`);
  await f.rows(`
    create table ${s}.child (
      id bigserial primary key,
      parent_id bigint constraint child_parent references ${s}.parent on delete cascade,
      price numeric(12,4)
    )`);
  await f.rows(
    `create table ${s}.mine (id int primary key, parent_id bigint constraint mine_parent references ${s}.parent)`,
  );
  await f.rows(`create index child_price on ${s}.child (price)`);
  await f.rows(`create view ${s}.names as select name from ${s}.parent`);
  await f.rows(`insert into ${s}.parent (name) values ('was here before')`);
  await f.rows(`grant select on ${s}.parent to public`);
  const oids = await f.rows(`select '${s}.parent'::regclass::oid as p, '${s}.child'::regclass::oid as c`);

  await f.init();
  expect(await f.rows(`select '${s}.parent'::regclass::oid as p, '${s}.child'::regclass::oid as c`)).toEqual(oids);
  await f.start();
  await f.source(`insert into parent (name, mood) values ('three', 'good'); update parent set name = 'uno' where id = 1;
    delete from parent where id = 2; insert into child values (9, 3, 9.99); update child set price = 7 where id = 1`);
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  expect(
    await textRows(f.target, `select id, name, mood, shout, seen is not null as seen from ${s}.parent order by id`),
  ).toEqual([
    { id: '1', name: 'uno', mood: 'good', shout: 'UNO', seen: 't' },
    { id: '3', name: 'three', mood: 'good', shout: 'THREE', seen: 't' },
  ]);
  expect(await textRows(f.target, `select at at time zone 'UTC' as at from ${s}.parent where id = 1`)).toEqual([
    { at: '2025-01-02 03:04:05.678' },
  ]);
  expect(await textRows(f.target, `select * from ${s}.child order by id`)).toEqual([
    { id: '1', parent_id: '1', price: '7.0000' },
    { id: '3', parent_id: '1', price: null },
    { id: '9', parent_id: '3', price: '9.9900' },
  ]);
  await f.rows(`insert into ${s}.mine values (1, 3)`);

  const { foreignKeys, sequences } = await f.engine.detachReplica('shop');
  expect(sequences).toBe(2);
  expect(foreignKeys.map(({ name, made }) => [name, made])).toEqual([
    ['child_parent', true],
    ['mine_parent', true],
  ]);
  expect(
    await f.rows(`select conname, convalidated from pg_constraint where conname in ('child_parent', 'mine_parent')`),
  ).toHaveLength(2);
  expect(await f.rows(`insert into ${s}.parent (name) values ('next') returning id::int`)).toEqual([{ id: 4 }]);
  await f.rows(`delete from ${s}.parent where id = 1`);
  expect(await f.rows(`select id::int from ${s}.child order by 1`)).toEqual([{ id: 9 }]);
  expect(await f.rows(`select name from ${s}.names order by 1`)).toEqual([{ name: 'next' }, { name: 'three' }]);
  expect(await f.rows(`select indexname from pg_indexes where indexname = 'child_price'`)).toHaveLength(1);
});

it('says of every table why rows would not fit unchanged, and touches none', async () => {
  const f = await importFixture(mariadb(), { source: SOURCE });
  await f.source(`create table a (id int primary key, v decimal(10,4), t datetime(6), e enum('x','y'), gone int);
    create table b (id int primary key)`);
  const s = f.schema;
  await f.rows(`create schema ${s}`);
  await f.rows(`create type ${s}.e as enum ('x')`);
  await f.rows(`create table ${s}.a (id int primary key, v numeric(10,2), t timestamp(0), e ${s}.e, own int not null)`);
  await f.rows(`insert into ${s}.a values (1, 1, now(), 'x', 1)`);
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const error = (await f.engine.initReplica('shop').catch((thrown: unknown) => thrown)) as PreflightError;
  expect(error).toBeInstanceOf(PreflightError);
  const messages = error.problems.filter(({ level }) => level === 'error').map(({ message }) => message);
  expect(messages.join('\n')).toMatch(
    /column v: .*fewer digits behind the point[\s\S]*column t: .*fewer digits of a second[\s\S]*column e: .*lacks the labels y[\s\S]*no column gone[\s\S]*column own is NOT NULL[\s\S]*which is not there/,
  );
  expect(await f.rows(`select count(*)::int as n from ${s}.a`)).toEqual([{ n: 1 }]);
  await expect(f.engine.copySchema('shop')).rejects.toThrow(/keep_existing_schema/);
});
