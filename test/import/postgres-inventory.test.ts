import { expect, it } from 'vitest';
import { SourceServer } from '../../src/import/postgres/session.ts';
import { logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

/** One of each kind that a database can have. */
const ONE_OF_EACH = `
create schema shop; create schema elsewhere; create table elsewhere.t (id int primary key);
create extension if not exists hstore with schema public;
create type shop.unused_enum as enum ('a'); create domain shop.unused_domain as int; create type shop.unused_row as (a int);
create type shop.used_enum as enum ('a'); create domain shop.used_domain as int check (value > 0);
create collation shop.plain (locale = 'C');
create table shop.parent (id int generated always as identity primary key, kind shop.used_enum, n shop.used_domain, name text collate shop.plain);
create table shop.orders (
  id bigserial, parent_id int, other_id int, note text, at tstzrange,
  constraint orders_key primary key (id) include (note) deferrable,
  constraint orders_match foreign key (parent_id) references shop.parent match full on delete set null (parent_id),
  constraint noted check (note <> '') no inherit,
  constraint no_overlap exclude using gist (at with &&)
) with (fillfactor = 70);
alter sequence shop.orders_id_seq increment 5;
create table shop.heir (extra int primary key) inherits (shop.orders); create table shop.heir_without_key () inherits (shop.heir);
create table shop.parts (id int primary key) partition by range (id); create table shop.parts_1 partition of shop.parts for values from (0) to (9);
create unlogged table shop.fleeting (id int primary key);
comment on constraint noted on shop.orders is 'why'; comment on index shop.orders_key is 'which';
alter table shop.orders replica identity full; alter table shop.orders alter note set storage external, alter note set statistics 77;
alter table shop.orders cluster on orders_key;
create statistics shop.correlated on id, parent_id from shop.orders;
create role inventory_owner; create role inventory_reader;
grant select on shop.orders to inventory_reader; grant update (note) on shop.orders to inventory_reader;
alter table shop.orders owner to inventory_owner;
alter default privileges in schema shop grant select on tables to inventory_reader;
create function shop.touch() returns trigger language plpgsql as 'begin return new; end';
create procedure shop.work() language sql as 'select 1';
create aggregate shop.total (int) (sfunc = int4pl, stype = int);
create trigger touched before update on shop.orders for each row execute function shop.touch();
create rule quiet as on delete to shop.orders where old.id < 0 do instead nothing;
alter table shop.orders enable row level security; create policy only_own on shop.orders using (parent_id = 1);
create view shop.seen as select 1 as one; create materialized view shop.kept as select 1 as one;
create sequence shop.loose;
create foreign data wrapper wrapper_of_nothing; create server far_away foreign data wrapper wrapper_of_nothing;
create foreign table shop.far (a int) server far_away;
create publication other for table shop.parent;
create subscription listening connection 'host=nowhere' publication p with (connect = false, slot_name = none, enabled = false, create_slot = false);
create function shop.on_ddl() returns event_trigger language plpgsql as 'begin end'; create event trigger watched on ddl_command_end execute function shop.on_ddl();
create operator shop.=== (leftarg = int, rightarg = int, function = int4eq);
create operator class shop.int_class for type int using btree as operator 1 <, operator 3 =, function 1 btint4cmp(int, int);
create index classy on shop.orders (other_id shop.int_class);
create conversion shop.letters for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create text search dictionary shop.words (template = simple); create text search configuration shop.searching (copy = simple);
create cast (shop.unused_row as text) with inout;
create language other_language handler plpgsql_call_handler;
select lo_create(4711);
do $$ begin execute format('alter database %I set work_mem = ''5MB''', current_database()); end $$;`;

const CLEAN_UP = `drop subscription listening; drop owned by inventory_owner cascade; drop owned by inventory_reader cascade;
  drop role inventory_owner; drop role inventory_reader`;

async function report(f: PostgresFixture): Promise<string[]> {
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  return (await f.engine.preflight('shop')).map(({ level, table, message }) => `${level} ${table}: ${message}`);
}

it('names each kind of object of the source that does not come along', async () => {
  const f = await postgresFixture(server(), { schema: 'shop', extra: ONE_OF_EACH });
  const lines = await report(f);
  const all = lines.join('\n');
  for (const pattern of [
    /null: view shop\.seen is not/,
    /null: materialized view shop\.kept is not/,
    /null: foreign table shop\.far is not/,
    /null: sequence shop\.loose belongs to no column/,
    /null: function shop\.on_ddl\(\), shop\.total\(integer\), shop\.touch\(\), shop\.work\(\) is not/,
    /null: type shop\.unused_domain, shop\.unused_enum, shop\.unused_row is used by no column/,
    /null: collation shop\.plain is not/,
    /null: operator shop\.=== \(integer, integer\) is not/,
    /null: operator class shop\.int_class is not/,
    /null: conversion shop\.letters is not/,
    /null: text search configuration shop\.searching is not/,
    /null: text search dictionary shop\.words is not/,
    /null: cast shop\.unused_row as text is not/,
    /null: extension hstore is not made/,
    /null: publication other is not/,
    /null: subscription listening is not/,
    /null: event trigger watched is not/,
    /null: foreign server far_away is not/,
    /null: foreign data wrapper wrapper_of_nothing is not/,
    /null: language other_language is not/,
    /null: setting of the database work_mem=5MB is not/,
    /null: default privilege of \w+ in shop is not/,
    /null: schema with tables of its own elsewhere is not in schema_mappings/,
    /null: the database has large objects/,
    /shop\.orders: policy only_own is not/,
    /shop\.orders: row-level security enabled is not carried over: in the target everybody/,
    /shop\.orders: trigger touched is not/,
    /shop\.orders: rule quiet is not/,
    /shop\.orders: statistics object correlated is not/,
    /shop\.orders: grant select to inventory_reader, update \(note\) to inventory_reader is not/,
    /shop\.orders: owner inventory_owner is not/,
    /shop\.orders: replica identity full is not/,
    /shop\.orders: heir shop\.heir inherits from it/,
    /shop\.heir: parent shop\.orders is inherited from/,
    /shop\.orders: storage parameter fillfactor=70 is not/,
    /shop\.orders: column setting note statistics 77, note storage external is not/,
    /shop\.parent: numbering id: generated always becomes by default is not/,
    /shop\.orders: numbering shop\.orders_id_seq: its own steps and bounds is not/,
    /shop\.orders: constraint noted \(no inherit\), orders_key \(deferrable\), orders_key \(includes further columns\), orders_key \(named otherwise\), orders_match \(match full\), orders_match \(sets only some columns\) is made without/,
    /shop\.orders: comment on constraint noted, on index orders_key is not/,
    /shop\.parent: column collation name shop\.plain has to be made/,
    /shop\.orders: index classy \(operator class shop\.int_class\), orders_key \(clustered by\) needs or has/,
    /shop\.parts: it is partitioned and becomes one table/,
    /shop\.fleeting: left out: it is unlogged/,
  ])
    expect(all).toMatch(pattern);
  // What does come along is not in it
  expect(all).not.toMatch(/used_enum is|used_domain is|no_overlap|hv_\d/);
  await f.source(CLEAN_UP);
});

it('publishes no table with the one it inherits from: one without a key would take no updates any more', async () => {
  const f = await postgresFixture(server(), {
    extra: `create table base (id int primary key, t text); create table heir (more int) inherits (base);
      insert into base values (1, 'base'); insert into heir values (2, 'heir', 3)`,
    source: { skip_tables: ['public.heir'] },
  });
  await f.init();
  await f.start();
  await f.source(`update heir set t = 'changed'; update base set t = 'all'; insert into base values (3, 'new')`);
  await f.caughtUp();
  expect(await f.rows('select id, t from public.base order by 1')).toEqual([
    { id: 1, t: 'all' },
    { id: 3, t: 'new' },
  ]);
});

it('does not take the rows for all that a policy leaves to be seen', async () => {
  const role = `limited_${process.pid}`;
  const f = await postgresFixture(server(), {
    extra: `create role ${role} login replication password 'only for the test';
      create table t (id int primary key, mine bool); insert into t values (1, true), (2, false);
      alter table t owner to ${role}; alter table t enable row level security, force row level security;
      create policy only_mine on t using (mine); create table foreign_to_me (id int primary key);
      do $$ begin execute format('grant create on database %I to ${role}', current_database()); end $$`,
  });
  const sources = f.config.sources as { shop: { db_conn: object } };
  sources.shop.db_conn = { ...sources.shop.db_conn, user: role, password: 'only for the test' };
  const lines = await report(f);
  expect(lines).toContainEqual(
    expect.stringMatching(/^error public\.t: row-level security hides rows of it from the role/),
  );
  expect(lines).toContainEqual(expect.stringMatching(/^error public\.foreign_to_me: the role does not own it/));
  expect(lines).toContainEqual(expect.stringMatching(/^error public\.foreign_to_me: the role may not read it/));
  // A policy that comes later is an error too, and not fewer rows
  const source = new SourceServer(sources.shop.db_conn);
  const session = await source.connect();
  await expect(session.query('copy (select * from public.t) to stdout')).rejects.toThrow(/row-level security/);
  await session.end();
  await source.close();
  await f.source('alter table t no force row level security; drop table foreign_to_me');
  await f.init();
  expect(await f.rows('select count(*)::int as n from public.t')).toEqual([{ n: 2 }]);
  await f.engine.dropSource('shop');
  await f.source(`drop owned by ${role} cascade; drop role ${role}`);
});
