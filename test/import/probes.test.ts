// What was seen to go wrong in the tool this replaces (spec/import.md, section 3): one test each.
import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mariadbOfFile, textRows } from './fixture.ts';
import { asides, type ImportOptions, runningOn, table } from './probe.ts';

const mariadb = mariadbOfFile();
const running = (create: string, options: ImportOptions = {}): Promise<ImportFixture> =>
  runningOn(mariadb(), create, options);

describe('probes', () => {
  it('P1: updates and deletes by a binary key', async () => {
    const f = await running(
      "create table t (id binary(4) primary key, v int); insert into t values (x'0a0b0c00', 1), (x'ffeedd00', 2)",
    );
    await f.source("update t set v = 10 where id = x'0a0b0c00'; delete from t where id = x'ffeedd00'");
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([{ id: '\\x0a0b0c00', v: '10' }]);
  });

  it('P3: int unsigned beyond 2^31', async () => {
    const f = await running(
      'create table t (id int primary key, v int unsigned); insert into t values (1, 4294967295)',
    );
    await f.source('insert into t values (2, 4294967295), (3, 1)');
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([
      { id: '1', v: '4294967295' },
      { id: '2', v: '4294967295' },
      { id: '3', v: '1' },
    ]);
  });

  it('P4: times below zero and above a day', async () => {
    const f = await running(
      "create table t (id int primary key, v time); insert into t values (1, '-10:00:00'), (2, '300:00:00')",
    );
    await f.source("insert into t values (3, '-10:00:00'), (4, '300:00:00')");
    await f.caughtUp();
    expect((await table(f, 't')).map(({ v }) => v)).toEqual(['-10:00:00', '300:00:00', '-10:00:00', '300:00:00']);
  });

  it('P5: NUL in text is left out, counted and listed, on both paths', async () => {
    const f = await running(
      "create table t (id int primary key, v varchar(20)); insert into t values (1, 'a\\0b'), (2, 'x')",
    );
    await f.source("insert into t values (3, '\\0c')");
    await f.caughtUp();
    expect((await table(f, 't')).map(({ v }) => v)).toEqual(['ab', 'x', 'c']);
    expect(await f.rows('select column_name, occurrences::int as n from hypervault.import_altered_column')).toEqual([
      { column_name: 'v', n: 2 },
    ]);
    expect(await f.rows('select key, original, replacement from hypervault.import_altered_value order by key')).toEqual(
      [
        { key: '1', original: 'a␀b', replacement: 'ab' },
        { key: '3', original: '␀c', replacement: 'c' },
      ],
    );
  });

  it('P6: a table without a key is copied and replicated', async () => {
    const f = await running(
      "create table t (a int, b text, c json); insert into t values (1, 'x', '{}'), (1, 'x', '{}'), (null, null, null)",
    );
    await f.source("insert into t values (2, 'y', '[1]'), (2, 'y', '[1]'), (2, 'y', '[1]')");
    await f.source(
      "delete from t where a = 1 limit 1; update t set b = 'z' where a = 2 limit 1; delete from t where a is null",
    );
    await f.caughtUp();
    expect(
      await textRows(
        f.target,
        `select a, b, c, count(*) as n from (select a, b, c::text from ${f.schema}.t) q group by 1, 2, 3 order by 1, 2`,
      ),
    ).toEqual([
      { a: '1', b: 'x', c: '{}', n: '1' },
      { a: '2', b: 'y', c: '[1]', n: '2' },
      { a: '2', b: 'z', c: '[1]', n: '1' },
    ]);
  });

  it('P7: nested JSON, and updates of the primary key', async () => {
    const f = await running(
      "create table t (id int primary key, j json); insert into t values (1, '{\"a\":{\"b\":[1,null]}}'), (2, 'null'), (3, '5')",
    );
    await f.source(
      'update t set id = 30 where id = 3; update t set id = 3 where id = 1; update t set id = 1 where id = 2; update t set id = 2 where id = 3',
    );
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([
      { id: '1', j: 'null' },
      { id: '2', j: '{"a":{"b":[1,null]}}' },
      { id: '30', j: '5' },
    ]);
  });

  it('P14: the views of the user survive DDL and another init', async () => {
    const f = await running('create table t (id int primary key, v varchar(5)); insert into t values (1, "a")');
    await f.target.query(
      `create view ${f.schema}.mine as select id, v from ${f.schema}.t; comment on view ${f.schema}.mine is 'kept'`,
    );
    await f.target.query(`create view ${f.schema}.upon as select count(*) as n from ${f.schema}.mine`);
    await f.source('alter table t modify v varchar(50); insert into t values (2, "bb")');
    await f.caughtUp();
    expect(await f.rows(`select n::int as n from ${f.schema}.upon`)).toEqual([{ n: 2 }]);
    await f.engine.initReplica('shop');
    expect(await f.rows(`select n::int as n from ${f.schema}.upon`)).toEqual([{ n: 2 }]);
    expect(await f.rows(`select obj_description('${f.schema}.mine'::regclass) as c`)).toEqual([{ c: 'kept' }]);
  });

  it('P18: goes on after a clean stop', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table t (id int primary key)');
    await f.init();
    const stop = await f.start();
    await f.source('insert into t values (1)');
    await f.caughtUp();
    await stop();
    await f.source('insert into t values (2)');
    await f.start();
    await f.caughtUp();
    expect(await table(f, 't')).toEqual([{ id: '1' }, { id: '2' }]);
  });

  it('P20: with on_error_replay exit nothing of the batch is applied, and it goes on when the cause is mended', async () => {
    const f = await importFixture(mariadb(), { source: { on_error_replay: 'exit' } });
    await f.source('create table t (id int primary key, v int)');
    await f.init();
    await f.target.query(`alter table ${f.schema}.t add constraint small check (v < 100)`);
    const stopped = new Promise<Error>((resolve) => {
      f.engine.startReplica('shop').catch(resolve);
    });
    await f.source(
      'insert into t values (1, 1); begin; insert into t values (2, 2); insert into t values (3, 300); commit; insert into t values (4, 4)',
    );
    expect((await stopped).message).toMatch(/violates check constraint "small"/);
    const rows = await table(f, 't');
    expect(rows.some(({ id }) => id === '2' || id === '3')).toBe(false);
    expect(await f.rows('select status from hypervault.import_source')).toEqual([{ status: 'error' }]);
    await expect(f.engine.startReplica('shop')).rejects.toThrow(/enable-replica/);
    await f.target.query(`alter table ${f.schema}.t drop constraint small`);
    await f.engine.enableReplica('shop');
    await f.start();
    await f.caughtUp();
    expect((await table(f, 't')).map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
  });

  it('sets aside the table that cannot go on, and only it', async () => {
    const f = await importFixture(mariadb());
    await f.source('create table good (id int primary key, v int); create table bad (id int primary key, v int)');
    await f.init();
    await f.target.query(`alter table ${f.schema}.bad add constraint small check (v < 100)`);
    await f.start();
    await f.source(
      'begin; insert into good values (1, 1); insert into bad values (1, 1); insert into bad values (2, 200); insert into good values (2, 2); commit',
    );
    await f.source('insert into good values (3, 3); insert into bad values (3, 3)');
    await f.caughtUp();
    await expectSameRows(f, 'good', ['id', 'v']);
    const found = await asides(f);
    expect(found).toEqual([{ t: 'bad', reason: expect.stringMatching(/violates check constraint/) }]);
    const [error] = await f.rows<Record<string, string>>('select * from hypervault.import_error');
    expect(error).toMatchObject({ phase: 'replay', remedy: `hypervault import sync-tables --tables ${f.schema}.bad` });
  });

  it('keeps text and bytes apart behind a geometry column', async () => {
    const f = await running(
      'create table t (id int primary key, pt point, vc varchar(10), bl blob, cl text character set latin1)',
    );
    await f.source("insert into t values (1, ST_GeomFromText('POINT(1 2)'), 'é😀', x'ff00fe', 'é')");
    await f.caughtUp();
    expect(await table(f, 't')).toMatchObject([{ vc: 'é😀', bl: '\\xff00fe', cl: 'é' }]);
  });

  it('sets a table aside when a session logs statements or partial rows', async () => {
    const f = await running(
      'create table s (id int primary key, v int); create table m (id int primary key, v int); create table ok (id int primary key); insert into m values (1, 1)',
    );
    await f.source("set session binlog_format = 'STATEMENT'; insert into s values (1, 1)");
    await f.source("set session binlog_row_image = 'MINIMAL'; update m set v = 2");
    await f.source('insert into ok values (1)');
    await f.caughtUp();
    await waitFor(async () => (await asides(f)).length === 2);
    expect((await asides(f)).map(({ t }) => t)).toEqual(['m', 's']);
    expect(await table(f, 'ok')).toEqual([{ id: '1' }]);
  });
});
