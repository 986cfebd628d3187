// Each write gets its own outcome, once, also where a batch or a statement of it goes another way than usual.
import { expect, test } from 'vitest';
import { Datastore } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection } from '../support/wait-for.ts';

interface Tables {
  orders: { id: bigint; total: string; more?: string };
}

const ORDERS = 'create table shard0001.orders (id bigint primary key default shard0001.next_id(), total text)';

test('a batch whose BEGIN failed is not stored twice', async () => {
  const { databases, connections } = await testDatastore();
  const proxy = await startProxy(databases[0].connection);
  const db = new Datastore([{ ...connections[0]!, port: proxy.port }]);
  await databases[0].query(`alter table shard0003.entities add check (not body ? 'bad')`);
  await Promise.all([db.put(1, 1, {}), db.put(2, 1, {})]);
  // As when it is cancelled at this very moment; the statements behind it are on their way already.
  proxy.alter((sent) => Buffer.from(sent.toString('latin1').replace('begin; set local', 'BEGUN; set local'), 'latin1'));
  const bodies = ['a', 'b', 'c'].map((n) => ({ n }));
  const [one, two, bad, fine] = await Promise.allSettled([
    db.put(1, 1, { n: 'a' }),
    db.put(2, 1, { n: 'b' }),
    db.put(3, 1, { bad: 'yes' }),
    db.putMany(4, 1, bodies),
  ]);
  await proxy.restore();
  expect([one!.status, two!.status, bad!.status, fine!.status]).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  expect(bad).toMatchObject({ reason: { code: '23514' } });
  const stored = async (shard: number): Promise<number> =>
    (await databases[0].query(`select from shard000${shard}.entities where body ? 'n'`)).rowCount!;
  expect([await stored(1), await stored(2), await stored(4)]).toEqual([1, 1, 3]);
  expect((await db.getMany((fine as PromiseFulfilledResult<never[]>).value)).map((entity) => entity?.body)).toEqual(
    bodies,
  );
  await db.disconnect();
});

test('writes go on when a table is altered under what their sessions have prepared', async () => {
  const { db, databases } = await testDatastore<Tables>();
  await databases[0].query(ORDERS);
  const orders = db.table('orders');
  const { id } = await orders.insert({ total: '1' }, { shardId: 1 });
  await orders.update(id, { total: '2' });
  await databases[0].query(`alter table shard0001.orders add column more text default 'm'`);
  const [second, changed] = await Promise.all([
    orders.insert({ total: '3' }, { shardId: 1 }),
    orders.update(id, { total: '4' }),
  ]);
  expect([second.more, changed?.more]).toEqual(['m', 'm']);
  expect((await databases[0].query('select from shard0001.orders')).rowCount).toBe(2);
});

test('gathered calls go on over a session whose borrower threw its plans away', async () => {
  const { db } = await testDatastore({ poolMax: 1 });
  const key = await db.put(1, 1, { a: '1' });
  await db.get(key);
  await db.withCursor(1, (cursor) => cursor.query('deallocate all'));
  expect((await db.get(key))?.body).toEqual({ a: '1' });
  await db.withCursor(1, (cursor) => cursor.query('deallocate all'));
  await db.put(1, 1, { b: '2' });
});

test('a row that a trigger keeps out, or gives another id, is told and not waited for', async () => {
  const { db, databases } = await testDatastore<Tables>();
  await databases[0].query(`${ORDERS};
    create function shard0001.meddle() returns trigger language plpgsql as $$
    begin
      if new.total = 'out' then
        return null;
      end if;
      if new.total = 'other' then
        new.id := shard0001.next_id();
      end if;
      return new;
    end $$;
    create trigger meddle before insert or update on shard0001.orders
      for each row execute function shard0001.meddle()`);
  const orders = db.table('orders');
  const [out, other, kept] = await Promise.allSettled(
    ['out', 'other', 'kept'].map((total) => orders.insert({ total }, { shardId: 1 })),
  );
  expect([out, other]).toMatchObject(Array(2).fill({ reason: { code: 'ROW_NOT_RETURNED', retryable: false } }));
  const { id } = (kept as PromiseFulfilledResult<Tables['orders']>).value;
  expect((await rejection(orders.update(id, { total: 'out' }))).code).toBe('ROW_NOT_RETURNED');
  expect((await orders.get(id))?.total).toBe('kept');
  expect(db.stats().a!.inFlight).toBe(0);
});
