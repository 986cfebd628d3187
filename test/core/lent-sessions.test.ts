// What one borrower of a session leaves behind must not be met by the next, nor by gathered calls.
import { expect, onTestFinished, test } from 'vitest';
import { Datastore } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

test('a trigger never finds the tables of another shard, whoever had the session before', async () => {
  const { db, databases } = await testDatastore({ poolMax: 1 });
  for (const schema of ['shard0001', 'shard0002']) {
    await databases[0].query(`
      create table ${schema}.orders (id bigint primary key default ${schema}.next_id(), total text);
      create table ${schema}.audit (id bigint);
      create function ${schema}.note() returns trigger language plpgsql as
        $$ begin insert into audit values (new.id); return new; end $$;
      create trigger note after insert on ${schema}.orders for each row execute function ${schema}.note()`);
  }
  await db.withCursor(1, (cursor) => cursor.query('select 1'));
  // The trigger names its table without a schema: an error, and the same one every time.
  expect((await rejection(db.table('orders').insert({ total: '1' }, { shardId: 2 }))).code).toBe('42P01');
  expect((await databases[0].query('select from shard0001.audit')).rowCount).toBe(0);
});

test('settings of one borrower are not met by the next one, nor by gathered calls', async () => {
  const { db, databases } = await testDatastore({ poolMax: 1 });
  const role = `tenant_${process.pid}`;
  await databases[0].query(`create role ${role}`);
  const key = await db.put(1, 1, { a: '1' });
  const spoil = () =>
    db.withCursor(1, (cursor) =>
      cursor.query(`set statement_timeout = '1ms'; set default_transaction_read_only = on; set datestyle = 'German';
        set timezone = 'Asia/Tokyo'; set app.tenant = 'acme'; set role ${role}`),
    );
  try {
    await spoil();
    const entity = await db.get(key);
    expect(Math.abs(entity!.updated.getTime() - Date.now())).toBeLessThan(60_000);
    await db.put(1, 1, { b: '2' });
    await spoil();
    const keys = Array.from({ length: 300 }, () => key);
    expect((await db.getMany(keys)).every((found) => found?.body.a === '1')).toBe(true);
    await spoil();
    const seen = await db.withCursor(1, (cursor) =>
      cursor.query(`select current_setting('app.tenant', true) as tenant, current_setting('timezone') as zone,
        current_setting('statement_timeout') as timeout, current_user = session_user as self`),
    );
    expect(seen.rows).toEqual([{ tenant: '', zone: 'UTC', timeout: '0', self: true }]);
  } finally {
    await databases[0].query(`drop role ${role}`);
  }
});

test('a second transaction on a cursor is refused while the first one begins', async () => {
  const { db } = await testDatastore();
  await db.withCursor(1, async (cursor) => {
    const first = cursor.transaction(async (t) => {
      await t.query(`insert into entities (type, body) values (1, 'first=>yes')`);
      throw new Error('mine');
    });
    const second = rejection(
      cursor.transaction((t) => t.query(`insert into entities (type, body) values (1, 'second=>yes')`)),
    );
    expect((await rejection(first)).message).toBe('mine');
    expect((await second).message).toMatch(/open on this cursor already/);
    expect((await cursor.query('select from entities')).rowCount).toBe(0);
    await cursor.transaction((t) => t.query(`insert into entities (type, body) values (1, 'third=>yes')`));
    expect((await cursor.query('select from entities')).rowCount).toBe(1);
  });
});

test('a session that was lost while it lay idle costs no gathered call', async () => {
  const { databases, connections } = await testDatastore();
  const proxy = await startProxy(databases[0].connection);
  const db = new Datastore([{ ...connections[0]!, port: proxy.port, connectTimeoutMs: 1_000 }], {
    poolMax: 3,
    poolBlockTimeoutMs: 20_000,
    requestTimeoutMs: 300,
  });
  onTestFinished(() => db.disconnect({ deadlineMs: 500 }));
  const key = await db.put(1, 1, { a: '1' });
  await waitFor(() => db.stats().a!.idle === 1, { what: 'the lane giving its client back' });
  // Each holds its client until all have one: every client there is has been lent to somebody.
  let inside = 0;
  const lent = [1, 2, 3].map((shard) =>
    db.withCursor(shard, async (cursor) => {
      await cursor.query('select 1');
      inside += 1;
      await waitFor(() => inside === 3, { what: 'all three clients being lent' });
    }),
  );
  await Promise.all(lent);
  // Silent, so that nobody knows: what is sent now is lost.
  proxy.alter(() => Buffer.alloc(0));
  const before = proxy.bytesIn;
  const calls = Promise.all([db.get(key), db.put(1, 1, { b: '2' })]);
  await waitFor(() => proxy.bytesIn - before > 100, { what: 'two lanes trying their sessions' });
  proxy.alter((sent) => sent);
  expect((await calls)[0]?.body).toEqual({ a: '1' });
});
