import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

const EVERY_TYPE = `
create schema kinds;
create type kinds.mood as enum ('sad', 'it''s ok', 'happy');
create domain kinds.percent as numeric(5,2) not null default 7 check (value between 0 and 100);
create type kinds.point3 as (x int, y text, z kinds.mood);
create collation kinds.plain (locale = 'C');
create function kinds.twice(n int) returns int language sql immutable as 'select n * 2';
create table every_type (
  id bigint generated always as identity primary key,
  small smallint, whole int not null default 5, big bigint,
  exact numeric(30,10), any_exact numeric, r real, d double precision, cash money,
  flag boolean default true, c char(5), v varchar(20) collate "C", t text default 'x''y\\z', b bytea,
  day date, moment time(3), zoned timetz, at timestamp, atz timestamptz default now(), span interval,
  u uuid, ip inet, net cidr, mac macaddr, bits bit(5), vbits varbit, j json, jb jsonb, x xml,
  p point, bx box, tsv tsvector, rng int4range, mr datemultirange,
  mood kinds.mood default 'happy', pct kinds.percent, p3 kinds.point3, moods kinds.mood[],
  texts text[], grid int[][], jsons json[], cls regclass, lsn pg_lsn,
  doubled int generated always as (whole * 2) stored,
  constraint big_enough check (whole > -100000), constraint named_unique unique (whole, id)
);
comment on table every_type is 'all of them';
comment on column every_type.v is 'tab	and ''quote''';
create index every_type_jb on every_type using gin (jb);
create index every_type_lower on every_type (lower(t)) where flag;
`;

const ROWS = `
insert into every_type (small, whole, big, exact, any_exact, r, d, cash, flag, c, v, t, b, day, moment, zoned, at, atz,
  span, u, ip, net, mac, bits, vbits, j, jb, x, p, bx, tsv, rng, mr, mood, pct, p3, moods, texts, grid, jsons, cls, lsn)
values
 (-32768, 1, -9223372036854775808, 12345678901234567890.0123456789, 'NaN', 1.1, 0.1, '$12.34', null, 'ab', E'tab\\tnew\\nline\\\\ \\b\\f\\v 😀', E'\\\\N', '\\x00ff10',
  '4713-01-01 BC', '23:59:59.999', '12:00:00+05:30', 'infinity', '2024-01-31 12:00:00.123456+02', '-1 years +2 days -03:04:05.678901',
  '00000000-0000-0000-0000-00000000000f', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'', '{"a" : [1, null]}', '{"a":[1,null]}', '<a>b</a>',
  '(1.5,-2)', '(1,1),(0,0)', 'a:1 b:2', '[1,10)', '{[2024-01-01,2024-02-01)}', 'it''s ok', 99.99, '(1,"x, ""y""",sad)', '{sad,"it''s ok",NULL}',
  '{NULL,"",a b,"q\\"uote"}', '{{1,2},{3,4}}', '{"{\\"a\\":1}",null}', 'pg_class', '16/B374D848'),
 (null, 2, null, null, '1e-20', 'Infinity', '-Infinity', null, false, null, '', '', '', null, null, null, '-infinity', null, null,
  null, null, null, null, null, null, 'null', 'null', null, null, null, null, 'empty', '{}', null, 0, null, '{}', '{}', '{}', '{}', null, null);
insert into every_type (whole, pct, t) values (3, 1, repeat('long ', 20000));
`;

it('copies and streams every type, byte for byte, with what belongs to its table', async () => {
  const f = await postgresFixture(server(), { extra: EVERY_TYPE + ROWS });
  await f.init();
  await expectSame(f, 'every_type');
  await f.start();
  await f.source(ROWS);
  await f.source(`update every_type set small = 1, texts = texts || 'more'::text where whole = 1;
    update every_type set v = 'the long text stays' where whole = 3;
    delete from every_type where id = 2;
    insert into every_type (whole) values (44)`);
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  await expectSame(f, 'every_type');
  const [shape] = await f.rows(`
    select obj_description('public.every_type'::regclass) as comment,
           (select array_agg(indexdef order by indexdef) from pg_indexes where tablename = 'every_type') as indexes,
           (select array_agg(conname::text order by conname) from pg_constraint where conrelid = 'public.every_type'::regclass and contype in ('c', 'u', 'p')) as constraints`);
  expect(shape).toEqual({
    comment: 'all of them',
    indexes: [
      expect.stringContaining('every_type_jb ON public.every_type USING gin (jb)'),
      expect.stringContaining('every_type_lower ON public.every_type USING btree (lower(t)) WHERE flag'),
      expect.stringContaining('every_type_pkey'),
      expect.stringContaining('named_unique'),
    ],
    constraints: ['big_enough', 'every_type_pkey', 'named_unique'],
  });
});

it('keeps large values that the log does not repeat, through changes of the row and of its key', async () => {
  const f = await postgresFixture(server(), {
    extra: `create table docs (id int primary key, n int, a text, b text);
      alter table docs alter a set storage external, alter b set storage external;
      insert into docs select n, 0, repeat('a' || n, 5000), repeat('b' || n, 5000) from generate_series(1, 9) n`,
  });
  await f.init();
  await f.start();
  await f.source(`
    update docs set n = 1 where id = 1;
    begin; update docs set n = 1 where id = 2; update docs set n = 2, a = 'short' where id = 2; update docs set n = 3 where id = 2; commit;
    begin; update docs set id = 13 where id = 3; update docs set n = 5 where id = 13; commit;
    begin; insert into docs values (20, 1, repeat('x', 9000), repeat('y', 9000)); update docs set n = 2 where id = 20; update docs set id = 21 where id = 20; commit;
    begin; update docs set id = 14 where id = 4; update docs set id = 4, b = repeat('new', 3000) where id = 5; commit;
    begin; update docs set n = 7 where id = 6; delete from docs where id = 6; insert into docs values (6, 1, 'a', 'b'); commit;
    begin; update docs set n = 9 where id = 7; savepoint s; update docs set n = 10, a = '' where id = 7; rollback to s; commit`);
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  await expectSame(f, 'docs');
});

it('follows tables without a key, truncation, partitions and changes of structure', async () => {
  const f = await postgresFixture(server(), {
    extra: `create table notes (n int, t text); alter table notes replica identity full;
      insert into notes values (1, 'a'), (1, 'a'), (null, null), (2, repeat('z', 50000));
      create table parts (id int, at date, t text, primary key (id, at)) partition by range (at);
      create table parts_1 partition of parts for values from ('2024-01-01') to ('2025-01-01');
      create table parts_2 partition of parts for values from ('2025-01-01') to ('2026-01-01');
      insert into parts select n, '2024-12-30'::date + n, 't' from generate_series(1, 5) n;
      create table shape (id int primary key, a int, b varchar(10)); insert into shape values (1, 1, 'one'), (2, 2, 'two');
      create table emptied (id int primary key); insert into emptied values (1), (2)`,
  });
  await f.init();
  await f.start();
  await f.source(`
    delete from notes where ctid = (select min(ctid) from notes where n = 1);
    update notes set n = 3 where n = 2; insert into notes values (null, null), (null, null); delete from notes where ctid = (select min(ctid) from notes where n is null);
    update parts set at = '2025-06-01' where id = 1; insert into parts values (9, '2024-02-02', 'nine'); delete from parts where id = 5;
    begin; truncate emptied; insert into emptied values (3); commit`);
  await f.source(`alter table shape add column c text default 'seven' not null, add column d int;
    insert into shape (id, a, b) values (3, 3, 'three');
    alter table shape rename column a to z; alter table shape alter column b type text;
    insert into shape (id, z, b) values (4, 4, 'longer than ten characters')`);
  await f.caughtUp();
  await f.source(`alter table shape drop column d; update shape set z = 40 where id = 4`);
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  for (const table of ['notes', 'parts', 'shape', 'emptied']) await expectSame(f, table);
  // Values that only the source knows put the table aside, and it can be copied anew
  await f.source(
    `alter table shape add column e timestamptz default clock_timestamp(); insert into shape (id, z, b) values (5, 5, 'x')`,
  );
  await waitFor(async () => (await f.rows(`select from hypervault.import_table where state = 'aside'`)).length === 1);
  const [error] = await f.rows<{ message: string }>('select message from hypervault.import_error');
  expect(error!.message).toMatch(/column e was added with values that no log tells/);
  await f.engine.syncTables('shop', 'disabled');
  await f.start();
  await f.source(`insert into shape (id, z, b) values (6, 6, 'x')`);
  await f.caughtUp();
  await expectSame(f, 'shape');
});
