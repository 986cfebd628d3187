import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { slotsApplied, slotsReadBy, type VerifyPosition, verifyShard } from '../../src/cluster/index.ts';
import { freshDatabases, type TestDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

/** Two databases with the same shard 5. */
async function copies(ddl: string, rows: string): Promise<{ a: TestDatabase; b: TestDatabase }> {
  const [a, b] = await freshDatabases();
  for (const { query } of [a, b])
    await query(`create schema shard0005; set search_path = shard0005, public; ${ddl}; ${rows}`);
  return { a, b };
}

const ORDERS = 'create table orders (id bigint primary key, note text, at timestamptz default now())';
const TIME = `'2026-01-02 03:04:05.678901+02'::timestamptz`;
const FILL = `insert into orders select n, repeat('x', n % 50), ${TIME} from generate_series(1, 1000) as n`;

test('good copies are the same, and every kind of difference is told by its key', async () => {
  const { a, b } = await copies(ORDERS, FILL);
  // The layout of the rows may differ, and so may what each server says of itself.
  await b.query('alter table shard0005.orders drop note; alter table shard0005.orders add note text');
  await b.query(`update shard0005.orders set note = repeat('x', (id % 50)::int)`);
  await a.query('create table shard0005.hv_owner (a int)');
  const good = await verifyShard(5, a.connection, b.connection, { chunkRows: 64 });
  expect(good).toMatchObject({ same: true, rows: 1000n, tables: [{ table: 'orders', chunks: 16, rechecked: 0 }] });
  await b.query(`update shard0005.orders set at = at + interval '1 microsecond' where id = 77`);
  await b.query('delete from shard0005.orders where id in (1, 500)');
  await b.query('insert into shard0005.orders (id) values (0), (2000)');
  const { same, tables } = await verifyShard(5, a.connection, b.connection, { chunkRows: 64 });
  expect(same).toBe(false);
  expect([...tables[0]!.differences].sort((x, y) => Number(x.key[0]) - Number(y.key[0]))).toEqual([
    { key: ['0'], kind: 'extra' },
    { key: ['1'], kind: 'missing' },
    { key: ['77'], kind: 'changed' },
    { key: ['500'], kind: 'missing' },
    { key: ['2000'], kind: 'extra' },
  ]);
});

test('keys of any type, of several columns, and values of awkward types', async () => {
  const { a, b } = await copies(
    `create type mood as enum ('sad', 'happy');
     create table odd ("Key ""one""" text, m mood, at timestamptz, u uuid, n numeric, by bytea, c char(5),
       h hstore, j jsonb, f float8, i interval, p point, money money,
       primary key ("Key ""one""", m, at, u, n, by, c))`,
    `insert into odd select 'ü\\"'',{' || n, (array['sad', 'happy'])[1 + n % 2]::mood, ${TIME} + n * interval '1 us',
       md5(n::text)::uuid, n / 7.0, decode(md5(n::text), 'hex'), 'a ', hstore('k', n::text), '{"b": 1, "a": [1.0]}',
       n / 3.0::float8, n * interval '1.5 days', point(n, 1), n::money
     from generate_series(1, 300) as n`,
  );
  await b.query(`alter database ${b.connection.database} set datestyle = 'German';
    alter database ${b.connection.database} set timezone = 'Asia/Tokyo';
    alter database ${b.connection.database} set extra_float_digits = -10;
    alter database ${b.connection.database} set intervalstyle = 'iso_8601'`);
  expect(await verifyShard(5, a.connection, b.connection, { chunkRows: 7 })).toMatchObject({ same: true, rows: 300n });
  await b.query(`update shard0005.odd set f = f + 1e-9 where n > 42.8`);
  const { tables } = await verifyShard(5, a.connection, b.connection, { chunkRows: 7 });
  expect(tables[0]!.differences).toMatchObject([{ kind: 'changed', key: [`ü\\"',{300`, 'sad', {}, {}, {}, {}, 'a'] }]);
});

test('tables that cannot be compared are told, each with the reason', async () => {
  const { a, b } = await copies(ORDERS, 'create table plain (a int); create table shape (id int primary key)');
  await a.query('create table shard0005.here (id int primary key)');
  await b.query('create table shard0005.there (id int primary key); alter table shard0005.shape add extra int');
  const { same, tables } = await verifyShard(5, a.connection, b.connection);
  expect([same, ...tables.map(({ table, problem }) => [table, problem])]).toEqual([
    false,
    ['here', 'the target has no such table'],
    ['orders', undefined],
    ['plain', expect.stringMatching(/no primary key/)],
    ['shape', 'its columns differ: extra'],
    ['there', 'the source has no such table'],
  ]);
  const only = await verifyShard(5, a.connection, b.connection, { tables: ['orders'] });
  expect(only).toMatchObject({ same: true, rows: 0n });
  const unknown = verifyShard(5, a.connection, b.connection, { tables: ['nosuch'] });
  expect((await rejection(unknown)).message).toMatch(/shard0005\.nosuch/);
  expect((await rejection(verifyShard(5, a.connection, b.connection, { chunkRows: 0 }))).message).toMatch(/chunkRows/);
});

test('a run that was stopped goes on from the key it had come to', async () => {
  const { a, b } = await copies(`${ORDERS}; create table zebras (like orders including all)`, FILL);
  const stop = new AbortController();
  let position: VerifyPosition | undefined;
  const first = verifyShard(5, a.connection, b.connection, {
    chunkRows: 10,
    signal: stop.signal,
    onProgress: (progress) => {
      position = progress.position;
      if (progress.rows >= 300n) stop.abort();
    },
  });
  expect((await rejection(first)).code).toBe('ABORTED');
  expect(position).toEqual({ table: 'orders', key: ['320'] });
  // What lies before is not looked at again, what lies behind is.
  await b.query('delete from shard0005.orders where id in (320, 321)');
  const rest = await verifyShard(5, a.connection, b.connection, { chunkRows: 10, after: position });
  expect(rest).toMatchObject({ same: false, rows: 680n, tables: [{ differences: [{ key: ['321'] }] }, { rows: 0n }] });
});

test('a target with far too much or nothing at all ends soon', async () => {
  const { a, b } = await copies(ORDERS, FILL);
  await a.query('delete from shard0005.orders');
  const options = { chunkRows: 10, maxDifferences: 100 };
  const much = await verifyShard(5, a.connection, b.connection, options);
  expect(much.tables[0]).toMatchObject({ complete: false, rows: 0n });
  expect(much.tables[0]!.differences).toHaveLength(100);
  const none = await verifyShard(5, b.connection, a.connection, options);
  expect(none.tables[0]).toMatchObject({ complete: false, rows: 160n });
});

test('while the source is written to and a subscription carries it over, only true differences are told', async () => {
  const { a, b } = await copies(ORDERS, 'select 1');
  await a.query(`set search_path = shard0005; ${FILL}`);
  await a.query('create publication verify_test for table shard0005.orders');
  const { host, port, user, password, database } = a.connection;
  await b.query(`create subscription verify_test_${process.pid}
    connection 'host=${host} port=${port} user=${user} password=${password} dbname=${database}'
    publication verify_test`);
  onTestFinished(async () => void (await b.query(`drop subscription verify_test_${process.pid}`)));
  await waitFor(async () => (await b.query('select count(*)::int as n from shard0005.orders')).rows[0].n === 1000);
  await waitFor(
    async () => (await b.query(`select bool_and(srsubstate = 'r') as ready from pg_subscription_rel`)).rows[0].ready,
  );
  expect(await slotsReadBy(b.connection)).toEqual([`verify_test_${process.pid}`]);
  await b.query('delete from shard0005.orders where id = 333');
  await b.query(`update shard0005.orders set note = 'not so' where id = 334`);

  const writer = await a.client();
  await writer.query('set synchronous_commit = on');
  const stop = new AbortController();
  let written = 0;
  const writing = (async () => {
    // Rows 1 to 20 are written over and over, rows come and go, and new ones keep coming.
    for (; !stop.signal.aborted; written++) {
      await writer.query('update shard0005.orders set note = $1 where id = $2', [`${written}`, 1 + (written % 20)]);
      await writer.query('insert into shard0005.orders values ($1)', [10_000 + written]);
      await writer.query('insert into shard0005.orders values (5000)');
      await writer.query('delete from shard0005.orders where id = 5000');
      await sleep(1);
    }
  })();
  try {
    await waitFor(() => written > 50);
    for (let run = 0; run < 3; run++) {
      const before = written;
      const found = await verifyShard(5, a.connection, b.connection, {
        chunkRows: 50,
        lockHotRows: true,
        lagPassed: slotsApplied(a.connection, { slots: [`verify_test_${process.pid}`] }),
      });
      expect(written).toBeGreaterThan(before);
      expect(found.tables[0]).toMatchObject({ complete: true, unsettled: [] });
      expect(found.tables[0]!.rechecked).toBeGreaterThan(0);
      expect(found.tables[0]!.differences).toEqual([
        { key: ['333'], kind: 'missing' },
        { key: ['334'], kind: 'changed' },
      ]);
    }
  } finally {
    stop.abort();
    await writing;
  }
});

test('a target that stays behind is told by the name of its slot', async () => {
  const { a } = await copies(ORDERS, 'select 1');
  await a.query(`select pg_create_logical_replication_slot('verify_idle_${process.pid}', 'pgoutput')`);
  onTestFinished(async () => void (await a.query(`select pg_drop_replication_slot('verify_idle_${process.pid}')`)));
  const slots = [`verify_idle_${process.pid}`];
  const error = await rejection(slotsApplied(a.connection, { slots, timeoutMs: 100 })({}));
  expect(error).toMatchObject({ code: 'TIMEOUT', message: expect.stringMatching(/verify_idle_/) });
  await slotsApplied(a.connection)({});
  // What the target reads from counts, and nobody else's slot: here it reads nothing.
  expect(await slotsReadBy(a.connection)).toEqual([]);
  await slotsApplied(a.connection, { slots: [] })({});
});
