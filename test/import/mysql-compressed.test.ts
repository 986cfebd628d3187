import { expect, it, vi } from 'vitest';
import { importFixture, mysqlOfFile } from './fixture.ts';

const zstd = vi.hoisted(() => ({ missing: false }));

vi.mock('../../src/import/mysql/zstd.ts', async (load) => {
  const real = await load<typeof import('../../src/import/mysql/zstd.ts')>();
  return { loadUnzstd: () => (zstd.missing ? Promise.resolve(null) : real.loadUnzstd()) };
});

const mysql = mysqlOfFile();

const COMPRESSED = 'set session binlog_transaction_compression = on';

it('follows compressed transactions among others, and begins again behind one', { timeout: 60_000 }, async () => {
  const f = await importFixture(mysql());
  await f.source('create table t (id int primary key, v text); create table s (id int primary key, v text)');
  await f.init();
  const stop = await f.start();
  await f.source(
    `${COMPRESSED}; begin; insert into t values (1, repeat('many ', 9999)), (2, 'b'); update t set v = 'c' where id = 2; commit`,
  );
  await f.source("insert into t values (3, 'plain')");
  await f.source(
    `${COMPRESSED}; begin; insert into t values (4, 'd'); savepoint a; insert into t values (5, 'e'); rollback to a; commit`,
  );
  await f.source(
    `${COMPRESSED}; create table made as select id, v from t where id > 2; alter table t add column w int; update t set w = id`,
  );
  await f.source(
    `${COMPRESSED}; xa start 'a'; insert into s values (1, 'xa'); xa end 'a'; xa prepare 'a'; xa commit 'a'`,
  );
  await f.caughtUp();
  await stop();
  await f.source(
    `${COMPRESSED}; delete from t where id = 3; insert into s select id, v from t`.replace('insert', 'insert ignore'),
  );
  await f.start();
  await f.caughtUp();
  const kept = (sql: string): Promise<Record<string, unknown>[]> => f.rows(sql.replaceAll('SCHEMA', f.schema));
  expect(await kept('select id, length(v) as l, w from SCHEMA.t order by id')).toEqual([
    { id: 1, l: 49_995, w: 1 },
    { id: 2, l: 1, w: 2 },
    { id: 4, l: 1, w: 4 },
  ]);
  expect(await kept('select id from SCHEMA.s order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 4 }]);
  expect(await kept('select id, v from SCHEMA.made order by id')).toEqual([
    { id: 3, v: 'plain' },
    { id: 4, v: 'd' },
  ]);
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
});

it('takes a compressed transaction that is larger than a batch', { timeout: 60_000 }, async () => {
  const f = await importFixture(mysql(), { source: { replay_max_rows: 100 } });
  await f.source(
    'create table t (id int auto_increment primary key, v varchar(40)); insert into t (v) values (1), (2), (3)',
  );
  await f.init();
  await f.start();
  await f.source(
    `${COMPRESSED}; begin; ${"insert into t (v) select concat('v', id) from t; ".repeat(12)} commit; insert into t (v) values ('last')`,
  );
  await f.caughtUp();
  const [theirs] = await f.source('select count(*) as n, max(id) as last from t');
  const [ours] = await f.rows(`select count(*)::int as n, max(id) as last from ${f.schema}.t`);
  expect(ours).toEqual(theirs);
});

it('ends with a reason when there is nothing to unpack with, and goes on where it stopped', async () => {
  const f = await importFixture(mysql());
  await f.source('create table t (id int primary key)');
  await f.init();
  zstd.missing = true;
  try {
    await f.source('set global binlog_transaction_compression = on');
    const found = await f.engine.preflight('shop');
    await f.source('set global binlog_transaction_compression = off');
    expect(found.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'error: binlog_transaction_compression is ON, and there is nothing to unpack with: npm install fzstd, use Node 22.15, or set global binlog_transaction_compression = OFF',
    ]);
    const run = f.engine.startReplica('shop');
    const ended = expect(run).rejects.toMatchObject({ code: 'UNREADABLE_LOG', retryable: false });
    await f.source(`${COMPRESSED}; insert into t values (1)`);
    await ended;
    const [shop] = await f.engine.showStatus();
    expect(shop).toMatchObject({ status: 'error', reason: expect.stringMatching(/npm install fzstd/) });
  } finally {
    zstd.missing = false;
  }
  await f.engine.enableReplica('shop');
  await f.start();
  await f.source('insert into t values (2)');
  await f.caughtUp();
  expect(await f.rows(`select * from ${f.schema}.t order by id`)).toEqual([{ id: 1 }, { id: 2 }]);
});
