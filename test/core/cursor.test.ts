import { describe, expect, test } from 'vitest';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

describe('a lent cursor', () => {
  test('finds unqualified names in its shard, whatever the last borrower did', async () => {
    const { db } = await testDatastore({ poolMax: 1 });
    await db.put(2, 1, { here: '2' });
    await db.withCursor(1, (cursor) => cursor.query('set search_path = pg_catalog'));
    const count = (shard: number) =>
      db.withCursor(
        shard,
        async (cursor) => (await cursor.query('select count(*)::int as n from entities')).rows[0]!.n,
      );
    expect([await count(1), await count(2)]).toEqual([0, 1]);
    expect(await db.withCursor(3, async ({ schema, shardId }) => [schema, shardId])).toEqual(['shard0003', 3]);
  });

  test('reads hstore as objects and times as UTC', async () => {
    const { db } = await testDatastore();
    await db.put(1, 1, { a: '1', n: null });
    const [row] = await db.withCursor(
      1,
      async (cursor) =>
        (await cursor.query('select body, current_setting($1) as zone from entities', ['timezone'])).rows,
    );
    expect(row).toEqual({ body: { a: '1', n: null }, zone: 'UTC' });
  });

  test('is dead once it was given back, also when the callback threw', async () => {
    const { db } = await testDatastore();
    let kept: Awaited<ReturnType<typeof db.getConnection>> | undefined;
    await rejection(
      db.withCursor(1, async (cursor) => {
        kept = cursor;
        throw new Error('mine');
      }),
    );
    expect((await rejection(kept!.query('select 1'))).code).toBe('CLOSED');
    expect(db.stats().a!.lent).toBe(0);
    expect((await rejection(db.putConnection(kept!))).code).toBe('CONNECTION_NOT_LENT');
  });

  test('given back inside a transaction it is never lent again', async () => {
    const { db } = await testDatastore({ poolMax: 1 });
    const pid = () =>
      db.withCursor(1, async (cursor) => (await cursor.query('select pg_backend_pid() as pid')).rows[0]!.pid);
    const first = await pid();
    expect(await pid()).toBe(first);
    const cursor = await db.getConnection(1);
    await cursor.query('begin');
    await cursor.query(`insert into entities (type, body) values (1, '')`);
    await db.putConnection(cursor);
    expect(await pid()).not.toBe(first);
    const [row] = await db.withCursor(1, async (c) => (await c.query('select count(*)::int as n from entities')).rows);
    expect(row!.n).toBe(0);
  });

  test('given back with a statement under way it is never lent again', async () => {
    const { db, databases } = await testDatastore({ poolMax: 1 });
    const cursor = await db.getConnection(1);
    await cursor.query('select 1');
    const sleeping = rejection(cursor.query('select pg_sleep(10)'));
    await waitFor(async () => {
      const text = `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
      return (await databases[0].query(text)).rowCount === 1;
    });
    const late = rejection(cursor.query('select 1'));
    await db.putConnection(cursor);
    expect((await late).code).toBe('CLOSED');
    await sleeping;
    await db.withCursor(1, (c) => c.query('select 1'));
  });
});

describe('transactions', () => {
  test('commit when the callback returns, roll back when it throws', async () => {
    const { db } = await testDatastore();
    const insert = `insert into entities (type, body) values (1, '') returning id::text`;
    const id = await db.transaction(2, async (t) => (await t.query(insert)).rows[0]!.id);
    const error = await rejection(
      db.transaction(2, async (t) => {
        await t.query(insert);
        throw new Error('mine');
      }),
    );
    expect(error.message).toBe('mine');
    const rows = await db.withCursor(2, async (c) => (await c.query('select id::text from entities')).rows);
    expect(rows).toEqual([{ id }]);
  });

  test('an error inside that is swallowed does not pass for a commit', async () => {
    const { db } = await testDatastore();
    const error = await rejection(
      db.transaction(1, async (t) => {
        await t.query('select 1/0').catch(() => {});
      }),
    );
    expect(error.message).toMatch(/rolled back/);
  });

  test('serialization failures are tried again up to a bound', async () => {
    const { db } = await testDatastore();
    await db.withCursor(1, (c) => c.query('create table counter (n int); insert into counter values (0)'));
    const add = () =>
      db.transaction(
        1,
        async (t) => {
          const [row] = (await t.query('select n from counter')).rows;
          await t.query('update counter set n = $1', [row!.n + 1]);
        },
        { isolation: 'serializable', maxRetries: 50 },
      );
    await Promise.all(Array.from({ length: 8 }, add));
    const [row] = await db.withCursor(1, async (c) => (await c.query('select n from counter')).rows);
    expect(row!.n).toBe(8);
    let tries = 0;
    const given = await rejection(
      db.transaction(
        1,
        async (t) => {
          tries += 1;
          await t.query(`do $$ begin raise sqlstate '40001'; end $$`);
        },
        { maxRetries: 2 },
      ),
    );
    expect([given.code, tries]).toEqual(['40001', 3]);
  });
});

describe('streams of rows', () => {
  test('read any number of rows, and leaving early frees the client', async () => {
    const { db } = await testDatastore({ poolMax: 1 });
    const sum = await db.withCursor(1, async (cursor) => {
      let total = 0;
      for await (const { n } of cursor.stream<{ n: number }>('select n from generate_series(1, $1) as n', [3_000]))
        total += n;
      return total;
    });
    expect(sum).toBe((3_000 * 3_001) / 2);
    await db.withCursor(1, async (cursor) => {
      for await (const _ of cursor.stream('select n from generate_series(1, 1000000) as n')) break;
      expect((await cursor.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    });
    await rejection(
      db.withCursor(1, async (cursor) => {
        for await (const _ of cursor.stream('select 1/0'));
      }),
    );
    expect(await db.withCursor(1, async (cursor) => (await cursor.query('select 2 as two')).rows)).toEqual([
      { two: 2 },
    ]);
  });
});
