import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Datastore, Key } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection } from '../support/wait-for.ts';

interface Order {
  id: bigint;
  tenant: string;
  total: string;
  version: number;
  doc: unknown;
  tags: string[] | null;
  raw: Buffer | null;
  at: Date | null;
  ratio: number | null;
  body: Record<string, string | null> | null;
}
interface Invoice {
  id: number;
  tenant: string;
  note: string | null;
}
interface Tables {
  orders: Order;
  invoices: Invoice;
  'odd "name"': { id: bigint; 'a "b"': string };
}

let db: Datastore<Tables>;
let connections: Awaited<ReturnType<typeof testDatastore>>['connections'];

beforeEach(async () => {
  ({ db, connections } = await testDatastore<Tables>({ slots: 8, firstShard: 1 }));
  await db.fanOut(db.map.shards, (cursor) =>
    cursor.query(`
      create table orders (
        id bigint primary key default next_id(), tenant text not null, total numeric(12, 2) not null default 0,
        version int not null default 1, doc jsonb, tags text[], raw bytea, at timestamptz, ratio float8, body hstore
      );
      create table invoices (id int primary key, tenant text not null, note text);
      create table "odd ""name""" (id bigint primary key default next_id(), "a ""b""" text)`),
  );
});

describe('a table routed by its ids', () => {
  test('inserts with defaults, reads back every type, and keeps what it was given', async () => {
    const orders = db.table('orders');
    const given = {
      tenant: 'acme "x" \\ é😀',
      total: '99999.99',
      doc: { deep: [1, 'two', null, { three: 3.5 }], text: 'a\\"b' },
      tags: ['a', 'b,"c"', 'NULL', ''],
      raw: Buffer.from([0, 1, 255, 92]),
      at: new Date('2024-02-29T12:34:56.789Z'),
      ratio: 0.1,
    };
    const row = await orders.insert(given, { shardId: db.shardFor('acme') });
    expect(row).toEqual({ id: expect.any(BigInt), version: 1, body: null, ...given });
    expect(new Key(row.id).shardId).toBe(db.shardFor('acme'));
    expect(await orders.get(row.id)).toEqual(row);
    expect(await orders.get(String(row.id))).toEqual(row);
    expect(await orders.get(new Key(row.id))).toEqual(row);
    expect(await orders.get({ id: row.id })).toEqual(row);
    expect(await orders.get(new Key(row.id + 1n))).toBeNull();
    const special = await orders.insert(
      { tenant: 'n', ratio: Number.NaN, doc: 12n, body: 'a=>1' as never },
      { shardId: 1 },
    );
    expect(special).toMatchObject({ ratio: Number.NaN, doc: 12, body: { a: '1' } });
  });

  test('insertMany and getMany keep the order, over shards and sets of columns', async () => {
    const orders = db.table('orders');
    const rows = await orders.insertMany(
      Array.from({ length: 700 }, (_, n) => (n % 2 ? { tenant: `t${n}` } : { tenant: `t${n}`, total: `${n}` })),
      { shardId: 3 },
    );
    expect(rows.map(({ tenant }) => tenant)).toEqual(rows.map((_, n) => `t${n}`));
    const got = await orders.getMany([rows[9]!.id, 1n << 10n, rows[3]!.id]);
    expect(got.map((row) => row?.tenant)).toEqual(['t9', undefined, 't3']);
  });

  test('update sets columns, counts the version up and compares it', async () => {
    const orders = db.table('orders', { versionColumn: 'version' });
    const { id } = await orders.insert({ tenant: 'acme' }, { shardId: 2 });
    expect(await orders.update(id, { total: '5' }, { ifVersion: 1 })).toMatchObject({ total: '5.00', version: 2 });
    expect(await rejection(orders.update(id, { total: '6' }, { ifVersion: 1 }))).toMatchObject({
      code: 'VERSION_CONFLICT',
      expected: '1',
      actual: '2',
    });
    expect(await orders.update(id, { doc: null, tenant: 'new' })).toMatchObject({
      tenant: 'new',
      doc: null,
      version: 3,
    });
    expect((await rejection(orders.remove(id, { ifVersion: 2 }))).code).toBe('VERSION_CONFLICT');
    expect(await orders.remove(id, { ifVersion: 3n })).toBe(true);
    expect(await orders.remove(id)).toBe(false);
    expect(await orders.update(id, { total: '1' })).toBeNull();
  });

  test('odd names of tables and columns are quoted, never run', async () => {
    const odd = db.table('odd "name"');
    const row = await odd.insert({ 'a "b"': 'x' }, { shardId: 1 });
    expect(await odd.get(row.id)).toEqual({ id: row.id, 'a "b"': 'x' });
    const injected = await rejection(
      db.table('orders').insert({ tenant: 'x', 'doc) values (1); drop table orders; --': 1 } as never, { shardId: 1 }),
    );
    expect(injected.code).toBe('42703');
    expect((await rejection(db.table('orders"; drop table orders; --' as 'orders').get(1n << 10n))).code).toBe('42P01');
  });

  test('one row that breaks a constraint fails alone', async () => {
    const orders = db.table('orders');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        orders.insert({ tenant: n === 7 ? (null as never) : `t${n}` }, { shardId: 1 }),
      ),
    );
    expect(outcomes.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))).toEqual([7]);
    expect((outcomes[7] as PromiseRejectedResult).reason.code).toBe('23502');
  });

  test.each<[string, (orders: ReturnType<typeof db.table<'orders'>>) => Promise<unknown>, RegExp]>([
    ['no shard to insert into', (orders) => orders.insert({ tenant: 'x' }), /say where/],
    [
      'an id of another shard',
      (orders) => orders.insert({ id: 1n << 10n, tenant: 'x' }, { shardId: 2 }),
      /belongs to shard 1/,
    ],
    ['a changed id', (orders) => orders.update(1n << 10n, { id: 5n }), /can't be changed/],
    ['an empty change', (orders) => orders.update(1n << 10n, {}), /no column/],
    ['a number for an id', (orders) => orders.get(5 as never), /number/],
    ['ifVersion without a version column', (orders) => orders.remove(1n << 10n, { ifVersion: 1 }), /versionColumn/],
    ['NUL', (orders) => orders.insert({ tenant: 'a\0' }, { shardId: 1 }), /"tenant" holds a NUL/],
    ['half a surrogate', (orders) => orders.insert({ tenant: '\udc00' }, { shardId: 1 }), /surrogate/],
    ['a function', (orders) => orders.insert({ tenant: (() => {}) as never }, { shardId: 1 }), /function/],
    [
      'NaN inside JSON',
      (orders) => orders.insert({ tenant: 'x', doc: { n: Number.NaN } }, { shardId: 1 }),
      /JSON can't/,
    ],
    [
      'an invalid date',
      (orders) => orders.insert({ tenant: 'x', at: new Date('x') }, { shardId: 1 }),
      /date is invalid/,
    ],
  ])('refuses %s', async (_, call, message) => {
    const error = await rejection(Promise.resolve().then(() => call(db.table('orders'))));
    expect(error.message).toMatch(message);
    expect(error.code).toMatch(/INVALID|CONFIGURATION/);
  });
});

describe('a table routed by a column, as imported ones are', () => {
  test('rows are named by id and that column; a bare id is refused', async () => {
    const invoices = db.table('invoices', { by: 'tenant' });
    await invoices.insert({ id: 7, tenant: 'acme', note: 'old' });
    await invoices.insertMany([
      { id: 8, tenant: 'acme' },
      { id: 7, tenant: 'globex', note: 'other' },
    ]);
    expect(await invoices.get({ id: 7, tenant: 'acme' })).toEqual({ id: 7, tenant: 'acme', note: 'old' });
    expect(await invoices.get({ id: 7, tenant: 'globex' })).toMatchObject({ note: 'other' });
    expect(await invoices.get({ id: 8, tenant: 'globex' })).toBeNull();
    expect((await rejection(invoices.get(7n))).message).toMatch(/\{ id, tenant \}/);
    expect(await invoices.update({ id: 7, tenant: 'acme' }, { note: 'new' })).toMatchObject({ note: 'new' });
    expect((await rejection(invoices.insert({ id: 9 }))).message).toMatch(/tenant routes and is missing/);
    expect((await rejection(invoices.update({ id: 7, tenant: 'acme' }, { tenant: 'x' }))).message).toMatch(
      /can't be changed/,
    );
    expect(await invoices.remove({ id: 7, tenant: 'acme' })).toBe(true);
    expect(await invoices.get({ id: 7, tenant: 'globex' })).toMatchObject({ note: 'other' });
  });
});

test('a table that a column routes asks for the number of slots with its first call', async () => {
  // The shards of the others, by a datastore that nobody told how many slots there are.
  const fresh = new Datastore<Tables>(connections);
  onTestFinished(() => fresh.disconnect({ deadlineMs: 1_000 }));
  expect(() => fresh.shardFor('acme')).toThrow(/routing is not known yet/);
  const invoices = fresh.table('invoices', { by: 'tenant' });
  await db.table('invoices', { by: 'tenant' }).insert({ id: 7, tenant: 'acme' });
  expect(await invoices.get({ id: 7, tenant: 'acme' })).toMatchObject({ id: 7 });
  expect(fresh.shardFor('acme')).toBe(db.shardFor('acme'));
});
