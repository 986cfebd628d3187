// Reads that a lost session or a moved shard interrupts.
import { expect, test } from 'vitest';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

test('a stream whose session is lost ends with the error, and its client is replaced', async () => {
  const { db, databases } = await testDatastore({ poolMax: 1 });
  const lost = await rejection(
    db.withCursor(1, async (cursor) => {
      const { pid } = (await cursor.query('select pg_backend_pid() as pid')).rows[0]!;
      let read = 0;
      for await (const _ of cursor.stream('select n from generate_series(1, 1000000) as n')) {
        read += 1;
        if (read === 10) await databases[0].query('select pg_terminate_backend($1)', [pid]);
      }
    }),
  );
  expect(lost.message).toMatch(/terminat|connection/i);
  expect(await db.withCursor(1, async (cursor) => (await cursor.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
});

test('leaving a stream whose session was lost meanwhile ends too', async () => {
  const { db, databases } = await testDatastore({ poolMax: 1 });
  await db.withCursor(1, async (cursor) => {
    const { pid } = (await cursor.query('select pg_backend_pid() as pid')).rows[0]!;
    for await (const _ of cursor.stream('select n from generate_series(1, 1000000) as n')) {
      await databases[0].query('select pg_terminate_backend($1, 5000)', [pid]);
      break;
    }
  });
  expect(await db.withCursor(1, async (cursor) => (await cursor.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
});

test('a scan goes on behind a session that was lost under one of its pages', async () => {
  const { db, databases } = await testDatastore();
  await db.putMany(1, 1, [{ a: '1' }, { a: '2' }]);
  const gate = await databases[0].client();
  await gate.query('begin; lock table shard0001.entities in access exclusive mode');
  const found: unknown[] = [];
  const scan = (async () => {
    for await (const { body } of db.scan({ kind: 1, shards: [1] })) found.push(body.a);
  })();
  const waiting = `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
  const pid = await waitFor(async () => (await databases[0].query(waiting)).rows[0]?.pid as number | undefined);
  await databases[0].query('select pg_terminate_backend($1)', [pid]);
  await gate.query('rollback');
  await scan;
  expect(found).toEqual(['1', '2']);
});

test('what a caller wrote before its callback failed is noted too', async () => {
  const { db } = await testDatastore();
  const caller = db.caller();
  const failed = caller.write(1, async (cursor) => {
    await cursor.query(`insert into entities (type, body) values (1, 'stored=>1')`);
    throw new Error('later');
  });
  expect((await rejection(failed)).message).toBe('later');
  expect(caller.token).toMatch(/^0&a=[0-9a-f]+$/);
});

test('a table made before the pools were made again goes on', async () => {
  const { db } = await testDatastore();
  await db.withCursor(1, (cursor) => cursor.query('create table t (id bigint primary key default next_id())'));
  const table = db.table('t');
  await db.reinstantiate();
  const row = await table.insert({}, { shardId: 1 });
  expect(await table.get(row.id as bigint)).toEqual(row);
});
