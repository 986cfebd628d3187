import { expect, onTestFinished, test } from 'vitest';
import { Datastore, type DatastoreOptions, ShardMap, type ShardMapSource, shardMapOf } from '../../src/core/index.ts';
import { MapFollower } from '../../src/core/moved-shard.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

/** A source whose map the test changes, and whose answers it gives. */
function sourceOf(first: ShardMap, refresh: () => Promise<ShardMap>) {
  let current = first;
  const listeners = new Set<(map: ShardMap) => void>();
  const source: ShardMapSource = {
    get current() {
      return current;
    },
    changed: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refresh,
  };
  const change = (map: ShardMap): void => {
    current = map;
    for (const listener of listeners) listener(map);
  };
  return { source, listeners, change };
}

/** Shard 2 lives on `a`; `move()` makes `b` its owner, in the database and in what `refresh` will say. */
async function movable(options: DatastoreOptions = {}) {
  const { connections, databases } = await testDatastore();
  const [a, b] = shardMapOf(connections).servers as [ShardMap['servers'][number], ShardMap['servers'][number]];
  const maps = {
    old: new ShardMap([a, b], { epoch: 1n }),
    new: new ShardMap(
      [
        {
          ...a,
          ranges: [
            { from: 1, to: 2 },
            { from: 3, to: 5 },
          ],
        },
        {
          ...b,
          ranges: [
            { from: 2, to: 3 },
            { from: 5, to: 9 },
          ],
        },
      ],
      { epoch: 2n },
    ),
  };
  let newest = maps.old;
  let refreshes = 0;
  const { source, change, listeners } = sourceOf(maps.old, async () => {
    refreshes += 1;
    if (newest !== source.current) change(newest);
    return source.current;
  });
  const db = new Datastore(source, options);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  const move = async (): Promise<void> => {
    // What a fence does: the private SQLSTATE for everybody who still writes to the old place.
    await databases[1].query('create schema shard0002; create sequence shard0002.table_id_seq start 5000000000000');
    await databases[1].query(`
      create function shard0002.next_id() returns bigint language sql as
        $$ select hypervault.next_id('shard0002.table_id_seq'::regclass, 2) $$;
      create function shard0002.next_ids(n integer) returns setof bigint language sql as
        $$ select * from hypervault.next_ids('shard0002.table_id_seq'::regclass, 2, n) $$;
      create table shard0002.entities (like shard0005.entities including all);
      alter table shard0002.entities alter id set default shard0002.next_id()`);
    const { rows } = await databases[0].query('select id::text, type, body, updated from shard0002.entities');
    for (const { id, type, body, updated } of rows) {
      await databases[1].query('insert into shard0002.entities values ($1, $2, $3, $4)', [id, type, body, updated]);
    }
    await databases[0].query('drop schema shard0002 cascade');
    newest = maps.new;
  };
  return { db, move, databases, listeners, maps, change, refreshes: () => refreshes };
}

test('calls follow a shard that moved, gathered ones and callbacks alike', async () => {
  const { db, move, databases } = await movable();
  const key = await db.put(2, 1, { a: '1' });
  const stays = await db.put(1, 1, { stays: 'yes' });
  await move();
  const [moved, unmoved] = await Promise.all([db.get(key), db.get(stays)]);
  expect(moved?.body).toEqual({ a: '1' });
  expect(unmoved?.body).toEqual({ stays: 'yes' });
  const later = await db.put(2, 1, { b: '2' });
  expect((await databases[1].query('select count(*)::int as n from shard0002.entities')).rows[0].n).toBe(2);
  expect((await db.get(later))?.body).toEqual({ b: '2' });
});

test('writes and transactions follow by themselves, a callback is told with a retryable error', async () => {
  const { db, move } = await movable();
  await db.put(2, 1, { a: '1' });
  await move();
  const count = async () =>
    db.withCursor(
      2,
      async (cursor) => (await cursor.query('select count(*)::int as n from shard0002.entities')).rows[0]!.n,
    );
  expect(await rejection(count())).toMatchObject({ code: 'SHARD_MOVED', retryable: true, shardId: 2, server: 'b' });
  expect(await count()).toBe(1);
});

test('a callback that did something before is not told to do it again', async () => {
  const { db, move } = await movable();
  await db.put(2, 1, { a: '1' });
  await move();
  const twice = db.withCursor(2, async (cursor) => {
    await cursor.query(`insert into shard0001.entities (type, body) values (1, '')`);
    await cursor.query('select from shard0002.entities');
  });
  expect(await rejection(twice)).toMatchObject({ code: 'SHARD_MOVED', retryable: false });
});

test('a transaction is run again where the shard lives now', async () => {
  const { db, move } = await movable();
  await db.put(2, 1, { a: '1' });
  await move();
  const n = await db.transaction(
    2,
    async (t) => (await t.query('select count(*)::int as n from shard0002.entities')).rows[0]!.n,
  );
  expect(n).toBe(1);
});

test('a scan follows a shard that moved', async () => {
  const { db, move } = await movable();
  await db.put(2, 1, { a: '1' });
  await move();
  const found: unknown[] = [];
  for await (const { body } of db.find({ kind: 1, shards: [2], contains: { a: '1' } })) found.push(body);
  expect(found).toEqual([{ a: '1' }]);
});

test("when no newer map is to be had, the error is the caller's own", async () => {
  const { db, databases, refreshes } = await movable();
  await databases[0].query('drop schema shard0003 cascade');
  expect((await rejection(db.put(3, 1, {}))).code).toMatch(/3F000|42P01/);
  expect(refreshes()).toBeGreaterThan(0);
});

test('a call that waits behind a fence goes on with the map that comes by itself, without asking once more', async () => {
  const { connections } = await testDatastore();
  const servers = shardMapOf(connections).servers;
  const [a, b] = servers as [(typeof servers)[number], (typeof servers)[number]];
  const from = { ...a, ranges: [{ from: 1, to: 2 }] };
  let asked = 0;
  const { source, change } = sourceOf(new ShardMap([from, b], { epoch: 1n }), async () => {
    asked += 1;
    const answer = source.current;
    // Right behind the answer: the call waits for the next map by now.
    setImmediate(() =>
      change(
        new ShardMap(
          [
            { ...a, ranges: [] },
            { ...b, ranges: [{ from: 1, to: 9 }] },
          ],
          { epoch: 2n },
        ),
      ),
    );
    return answer;
  });
  const follower = new MapFollower(source);
  const fence = { server: b.name, epoch: 2n };
  expect(await follower.behindFence(a.name, 1, fence, Date.now() + 5_000)).toBe(true);
  expect(asked).toBe(1);
});

test('a call behind a fence goes on with the map that comes by itself while the one it asked for is late', async () => {
  const { connections } = await testDatastore();
  const [a, b] = shardMapOf(connections).servers as [ShardMap['servers'][number], ShardMap['servers'][number]];
  const first = new ShardMap([{ ...a, ranges: [{ from: 1, to: 2 }] }, b], { epoch: 1n });
  const { source, listeners, change } = sourceOf(first, () => new Promise(() => {}));
  const waiting = new MapFollower(source).behindFence(a.name, 1, { server: b.name, epoch: 2n }, Date.now() + 5_000);
  await waitFor(() => listeners.size === 1, { what: 'a listener' });
  change(
    new ShardMap(
      [
        { ...a, ranges: [] },
        { ...b, ranges: [{ from: 1, to: 9 }] },
      ],
      { epoch: 2n },
    ),
  );
  expect(await waiting).toBe(true);
  expect(listeners.size).toBe(0);
});

test('many calls that meet a stopped sequence ask who has the shard once, on the session they came by', async () => {
  const seen: string[] = [];
  const logger = { debug: (fields: object) => void seen.push((fields as { text: string }).text), warn: () => {} };
  const { db, move, databases } = await movable({ logger });
  await db.put(2, 1, { a: '1' });
  // As a move leaves it between fence and flip: the sequence at its end, and an owner row that names the next server.
  await databases[0].query(`
    create function hypervault.owner_of(shard integer) returns table (server text, epoch bigint) language sql as
      $$ select 'b'::text, 2::bigint $$;
    select setval('shard0002.table_id_seq', (select max_value from pg_sequences where schemaname = 'shard0002'))`);
  const puts = Array.from({ length: 40 }, (_, n) => db.put(2, 1, { n: String(n) }));
  await waitFor(() => seen.some((text) => text.includes('owner_of')), { what: 'the question' });
  await move();
  await Promise.all(puts);
  expect((await databases[1].query('select count(*)::int as n from shard0002.entities')).rows[0].n).toBe(41);
  expect(db.stats().a!.clients).toBeLessThanOrEqual(2);
  expect(seen.filter((text) => text.includes('owner_of')).length).toBeLessThanOrEqual(2);
});

test('calls that wait for a server go on elsewhere when it leaves the map', async () => {
  const { db, move, databases, maps, change } = await movable({ poolMax: 1 });
  const key = await db.put(2, 1, { a: '1' });
  await move();
  const held = await db.getConnection(1);
  const waiting = Promise.all([
    db.get(key),
    db.put(2, 1, { b: '2' }),
    db.withCursor(2, (cursor) => cursor.query('select from shard0002.entities')),
    db.reserveKeys(2, 3),
    db.getMany(Array.from({ length: 300 }, () => key)),
    db.find({ shards: [2] }).next(),
  ]);
  await waitFor(() => db.stats().a!.waiting >= 5, { what: 'calls waiting for a client' });
  // Moves and the end of the server at once, as for a program that learns of them late.
  change(new ShardMap([maps.new.servers[1]!], { epoch: 3n }));
  const [entity, put, , keys, many] = await waiting;
  expect([entity?.body, many[299]?.body]).toEqual([{ a: '1' }, { a: '1' }]);
  expect(keys).toHaveLength(3);
  const { rows } = await databases[1].query('select id::text from shard0002.entities order by id desc limit 1');
  expect(rows).toEqual([{ id: put.toString() }]);
  // The one who still has a client of the server that left is waited for, but not past the datastore's own end.
  const query = rejection(held.query('select pg_sleep(60)'));
  await db.disconnect({ deadlineMs: 200 });
  expect((await query).message).toMatch(/terminated/);
});

test('a callback that was refused gives its client back before it is found out whether the shard moved', async () => {
  const { db } = await movable({ poolMax: 1, poolBlockTimeoutMs: 20_000 });
  await db.put(1, 1, {});
  const started = performance.now();
  const refused = db.withCursor(1, (cursor) => cursor.query(`do $$ begin raise sqlstate '42501'; end $$`));
  expect((await rejection(refused)).code).toBe('42501');
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('pools that are made again twice at once are made once', async () => {
  const { db, listeners } = await movable();
  await Promise.all([db.reinstantiate().then(() => db.put(1, 1, {})), db.reinstantiate()]);
  expect(listeners.size).toBe(1);
});
