// What was seen to go wrong in the tool this replaces (spec/import.md, section 3) with statements: one test each.
import { describe, expect, it } from 'vitest';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';
import { asides, type ImportOptions, runningOn, table } from './probe.ts';

const mariadb = mariadbOfFile();
const running = (create: string, options: ImportOptions = {}): Promise<ImportFixture> =>
  runningOn(mariadb(), create, options);

describe('probes of statements', () => {
  it('P8: columns, enums and keys added in the stream, with NOT NULL and defaults', async () => {
    const f = await running('create table t (id int primary key); insert into t values (1)');
    await f.source("alter table t add column a int not null default 7 comment 'seven'");
    await f.source("alter table t add column e enum('x','y') not null, add key (a)");
    await f.source('alter table t add column (b varchar(5), c decimal(5,1) default 1.5)');
    await f.source("insert into t (id, e) values (2, 'y')");
    await f.source("alter table t modify e enum('x','y','z') not null; insert into t values (3, 1, 'z', 'q', 2.5)");
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([
      { id: '1', a: '7', e: 'x', b: null, c: '1.5' },
      { id: '2', a: '7', e: 'y', b: null, c: '1.5' },
      { id: '3', a: '1', e: 'z', b: 'q', c: '2.5' },
    ]);
    const columns = await f.rows(
      `select column_name as n, is_nullable as nu, column_default as d from information_schema.columns where table_schema = $1 order by ordinal_position`,
      [f.schema],
    );
    expect(columns).toEqual([
      { n: 'id', nu: 'NO', d: null },
      { n: 'a', nu: 'NO', d: '7' },
      { n: 'e', nu: 'NO', d: null },
      { n: 'b', nu: 'YES', d: null },
      { n: 'c', nu: 'YES', d: '1.5' },
    ]);
    expect(await f.rows(`select indexname as i from pg_indexes where schemaname = $1 order by 1`, [f.schema])).toEqual([
      { i: 't_a' },
      { i: 't_pkey' },
    ]);
    expect(await asides(f)).toEqual([]);
  });

  it('P9: CHANGE that renames a column with a default', async () => {
    const f = await running('create table t (id int primary key, a int default 5); insert into t (id) values (1)');
    await f.source("alter table t change a b bigint not null default 6 comment 'now b'");
    await f.source('insert into t (id) values (2)');
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([
      { id: '1', b: '5' },
      { id: '2', b: '6' },
    ]);
    expect(await asides(f)).toEqual([]);
  });

  it('P10: ADD, MODIFY, DROP and RENAME in one statement', async () => {
    const f = await running(
      "create table t (id int primary key, a int, b varchar(5), c int); insert into t values (1, 2, 'x', 3)",
    );
    await f.source(
      'alter table t add column d int default 9, modify b varchar(50), drop column a, rename column c to e, add unique key (e)',
    );
    await f.source("insert into t values (2, repeat('y', 50), 4, 5)");
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([
      { id: '1', b: 'x', e: '3', d: '9' },
      { id: '2', b: 'y'.repeat(50), e: '4', d: '5' },
    ]);
    expect(await asides(f)).toEqual([]);
  });

  it('P11: statements that others stumble over', async () => {
    const f = await running(
      'create table t (id int primary key, v int) engine=InnoDB; create table gone1 (id int primary key); create table gone2 (id int primary key); insert into t values (1, 1)',
    );
    await f.source(
      'begin; insert into t values (2, 2); savepoint a; insert into t values (3, 3); rollback to savepoint a; insert into t values (4, 4); commit',
    );
    await f.source('create view v as select * from t');
    await f.source('analyze table t; optimize table t');
    await f.source('alter table t rename column v to w');
    await f.source(
      "alter table t engine=InnoDB; alter table t comment='hello'; alter table t alter column w set default 8",
    );
    await f.source(
      'alter table t add column d decimal(4,2) default 1.5, add column ts timestamp(3) null default current_timestamp(3)',
    );
    await f.source('drop table gone1, gone2');
    await f.source('create table copy like t');
    await f.source(
      'create table parted (id int primary key, v int) partition by range (id) (partition p0 values less than (10))',
    );
    await f.source('alter table parted add partition (partition p1 values less than (20))');
    await f.source('insert into parted values (1, 1), (15, 2)');
    await f.source(
      'create procedure p() begin select 1; end; call p(); create trigger tr before insert on parted for each row set new.v = 1; drop trigger tr',
    );
    await f.source(
      'create event ev on schedule every 1 year do select 1; drop event ev; create sequence sq; drop sequence sq',
    );
    await f.source('grant select on *.* to root@127.0.0.1; flush tables; set @x = 1');
    await f.source('insert into copy (id) values (1)');
    await f.caughtUp();
    expect(await asides(f)).toEqual([]);
    const [theirs] = await f.source('select cast(ts as char) as ts, d, w from t where id = 2');
    // Postgres shows no zeros at the end of a fraction
    const ts = String(theirs!.ts).replace(/\.?0+$/, '');
    expect((await table(f, 't'))[1]).toEqual({ id: '2', ...theirs, ts, w: String(theirs!.w) });
    expect(await table(f, 'copy')).toMatchObject([{ id: '1', w: '8', d: '1.50' }]);
    expect(await table(f, 'parted')).toEqual([
      { id: '1', v: '1' },
      { id: '15', v: '2' },
    ]);
    expect(
      await f.rows(`select count(*)::int as n from pg_tables where schemaname = $1 and tablename like 'gone%'`, [
        f.schema,
      ]),
    ).toEqual([{ n: 0 }]);
    const statements = await f.rows<{ outcome: string; sql: string }>(
      `select outcome, sql from hypervault.import_statement order by 1, 2`,
    );
    expect(statements.filter(({ outcome }) => outcome === 'unknown')).toEqual([]);
    expect(statements.some(({ outcome, sql }) => outcome === 'harmless' && /view/i.test(sql))).toBe(true);
  });

  it('fills an added column with the time of the statement, in the time zone of its session', async () => {
    const f = await running('create table t (id int primary key); insert into t values (1)');
    await f.source("set time_zone = '+05:30'; alter table t add column a datetime(6) default current_timestamp(6)");
    await f.source(
      'alter table t add column b timestamp(3) null default current_timestamp(3), add column c datetime not null default now()',
    );
    await f.caughtUp();
    expect(await asides(f)).toEqual([]);
    const theirs = await f.source(
      'select cast(id as char) as id, cast(a as char) as a, cast(b as char) as b, cast(c as char) as c from t',
    );
    expect(await table(f, 't')).toEqual(
      theirs.map((row) => ({ ...row, a: String(row.a).replace(/0+$/, ''), b: String(row.b).replace(/\.?0+$/, '') })),
    );
  });

  it('P12: TRUNCATE with a qualified name, from another default database', async () => {
    const f = await running('create table t (id int primary key); insert into t values (1), (2)');
    await f.server.query(`truncate table ${f.schema}.t; insert into ${f.schema}.t values (3)`, [], 'mysql');
    await f.server.query(`alter table \`${f.schema}\`.\`t\` add column x int default 1`, [], 'mysql');
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([{ id: '3', x: '1' }]);
  });

  it('P13: tables renamed and dropped before the reader gets to their rows', async () => {
    const f = await importFixture(mariadb());
    await f.source(
      'create table a (id int primary key, v int); create table b (id int primary key); insert into a values (1, 1)',
    );
    await f.init();
    await f.source('insert into a values (2, 2); insert into b values (1)');
    await f.source(
      'alter table a add column w int default 5; insert into a values (3, 3, 6); alter table a change v x int; insert into a values (4, 4, 7)',
    );
    await f.source(
      'alter table a drop column w; insert into a values (5, 5); rename table a to c; insert into c values (6, 6)',
    );
    await f.source(
      'drop table b; create table d (id int primary key, gone int); insert into d values (1, 1); drop table d',
    );
    await f.start();
    await f.caughtUp();
    expect(await table(f, 'c')).toEqual([1, 2, 3, 4, 5, 6].map((n) => ({ id: String(n), x: String(n) })));
    expect(await f.rows(`select tablename as t from pg_tables where schemaname = $1`, [f.schema])).toEqual([
      { t: 'c' },
    ]);
    expect(await asides(f)).toEqual([]);
  });
});
