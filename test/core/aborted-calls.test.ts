// What becomes of calls whose signal fires.
import { expect, test } from 'vitest';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

test('a call with a signal that has fired already writes nothing', async () => {
  const { db, databases } = await testDatastore();
  await databases[0].query('create table shard0001.orders (id bigint primary key default shard0001.next_id(), n int)');
  const key = await db.put(1, 1, { a: '1' });
  const signal = AbortSignal.abort();
  const orders = db.table('orders');
  const refused = await Promise.all(
    [
      db.put(1, 1, { b: '2' }, { signal }),
      db.putMany(1, 1, [{ c: '3' }], { signal }),
      db.update(key, { a: 'changed' }, { signal }),
      db.remove(key, { signal }),
      orders.insert({ n: 1 }, { shardId: 1, signal }),
      orders.insertMany([{ n: 2 }], { shardId: 1, signal }),
    ].map(rejection),
  );
  expect(refused.map(({ code }) => code)).toEqual(Array(6).fill('ABORTED'));
  const last = await db.put(1, 1, { last: 'yes' });
  const { rows } = await databases[0].query('select id::text, body from shard0001.entities order by id');
  expect(rows.map(({ id }) => id)).toEqual([key.toString(), last.toString()]);
  expect((await db.get(key))?.body).toEqual({ a: '1' });
  expect((await databases[0].query('select from shard0001.orders')).rowCount).toBe(0);
});

test('a write that was aborted while it waited for its turn is never sent', async () => {
  const { db, databases } = await testDatastore({ poolMax: 1 });
  const held = await db.getConnection(1);
  const stop = new AbortController();
  const aborted = rejection(db.put(1, 1, { a: '1' }, { signal: stop.signal }));
  const neighbour = db.put(1, 1, { b: '2' });
  await waitFor(() => db.stats().a!.waiting > 0, { what: 'the writes waiting for a client' });
  stop.abort();
  expect((await aborted).code).toBe('ABORTED');
  await db.putConnection(held);
  await neighbour;
  const { rows } = await databases[0].query('select id::text from shard0001.entities');
  expect(rows).toEqual([{ id: (await neighbour).toString() }]);
  expect(db.stats().a!.queued).toBe(0);
});
