import { describe, expect, test } from 'vitest';
import { Datastore, install, Key } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection } from '../support/wait-for.ts';

test('the pinned program runs as it is written', async () => {
  const servers = await ownServers({ servers: 2 });
  const connections = servers.connections.map((c, i) => ({ ...c, shards: ['1-9', '9-17'][i]! }));
  await install(connections, { onProgress: () => {} });
  const db = new Datastore(connections, { poolMax: 10, poolBlockTimeoutMs: 5_000 });
  const key = await db.put(12, 1, { beep: 'boop' });
  const entity = await db.get(key);
  expect(entity).toEqual({ key, kind: 1, body: { beep: 'boop' }, updated: expect.any(Date) });
  expect(key.shardId).toBe(12);
  expect(Math.abs(key.created.getTime() - Date.now())).toBeLessThan(10_000);
  const version = await db.withCursor(5, async (cursor) => (await cursor.query('select version()')).rows[0]);
  expect(version?.version).toMatch(/PostgreSQL/);
  await db.disconnect();
  await servers.stop();
});

describe('entities', () => {
  test('every shard writes and reads its own', async () => {
    const { db, databases } = await testDatastore();
    const keys = await Promise.all(
      db.map.shards.map((shard) => db.put(shard, 3, { shard: String(shard), none: null })),
    );
    expect(keys.map(({ shardId }) => shardId)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const key of keys) {
      expect((await db.get(key))?.body).toEqual({ shard: String(key.shardId), none: null });
    }
    const { rows } = await databases[1].query('select id::text from shard0007.entities');
    expect(rows).toEqual([{ id: keys[6]!.toString() }]);
    expect(await db.get(new Key(keys[0]!.id + 1n))).toBeNull();
  });

  test('getMany keeps the order, and null stands where nothing is', async () => {
    const { db } = await testDatastore();
    const keys = await db.putMany(2, 1, [{ n: '0' }, { n: '1' }, { n: '2' }]);
    expect(keys.map((key) => key.id)).toEqual(keys.map((key) => key.id).sort((a, b) => (a < b ? -1 : 1)));
    const other = await db.put(6, 1, { n: 'other' });
    const got = await db.getMany([keys[2]!, other, new Key(1n + (2n << 10n)), keys[0]!, keys[2]!]);
    expect(got.map((entity) => entity?.body.n)).toEqual(['2', 'other', undefined, '0', '2']);
    // What two callers get is theirs: changing one must not change the other.
    got[0]!.body.n = 'changed';
    expect(got[4]!.body.n).toBe('2');
    expect(await db.getMany([])).toEqual([]);
    expect(await db.putMany(2, 1, [])).toEqual([]);
  });

  test('many at once: a thousand over all shards come back in order, and putMany stores all or none', async () => {
    const { db, databases } = await testDatastore();
    const keys = (
      await Promise.all(
        db.map.shards.map((s) =>
          db.putMany(
            s,
            1,
            Array.from({ length: 300 }, (_, n) => ({ n: `${s}.${n}` })),
          ),
        ),
      )
    ).flat();
    const mixed = keys.map((_, n) => keys[(n * 7919) % keys.length]!);
    const got = await db.getMany([...mixed, new Key(1n << 10n), mixed[0]!]);
    expect(got.slice(0, mixed.length).map((entity) => entity?.key.id)).toEqual(mixed.map(({ id }) => id));
    expect(got.slice(mixed.length).map((entity) => entity?.key.id)).toEqual([undefined, mixed[0]!.id]);
    await databases[0].query(`alter table shard0001.entities add check (body -> 'n' <> 'bad')`);
    const bodies = [{ n: 'good' }, { n: 'bad' }, { n: 'good' }];
    expect((await rejection(db.putMany(1, 1, bodies))).code).toBe('23514');
    const { rows } = await databases[0].query(
      `select count(*)::int as n from shard0001.entities where body -> 'n' = 'good'`,
    );
    expect(rows[0].n).toBe(0);
  });

  test('update merges or replaces, tells the new state, and compares when asked', async () => {
    const { db } = await testDatastore();
    const key = await db.put(3, 9, { a: '1', b: '2' });
    const read = (await db.get(key))!;
    const merged = await db.update(key, { b: null, c: '3' });
    expect(merged).toMatchObject({ kind: 9, body: { a: '1', b: null, c: '3' } });
    expect(merged!.updated.getTime()).toBeGreaterThan(read.updated.getTime());
    const conflict = await rejection(db.update(key, { a: 'lost' }, { ifUnchangedSince: read.updated }));
    expect(conflict).toMatchObject({ name: 'VersionConflictError', code: 'VERSION_CONFLICT' });
    expect(conflict.actual).toBe(merged!.updated.toISOString());
    const replaced = await db.update(key, { z: '9' }, { replace: true, ifUnchangedSince: merged!.updated });
    expect(replaced?.body).toEqual({ z: '9' });
    expect((await db.get(key))?.body).toEqual({ z: '9' });
    expect(await db.update(new Key(3n << 10n), { a: '1' })).toBeNull();
  });

  test('of many who compare and set at once, one wins each round', async () => {
    const { db } = await testDatastore();
    const key = await db.put(1, 1, { n: '0' });
    for (let round = 0; round < 5; round++) {
      const { updated } = (await db.get(key))!;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => db.update(key, { n: `${round}.${i}` }, { ifUnchangedSince: updated })),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    }
  });

  test('remove says whether there was one', async () => {
    const { db } = await testDatastore();
    const key = await db.put(4, 1, {});
    expect((await rejection(db.remove(key, { ifUnchangedSince: new Date(0) }))).code).toBe('VERSION_CONFLICT');
    expect(await db.remove(key)).toBe(true);
    expect(await db.remove(key)).toBe(false);
    expect(await db.get(key)).toBeNull();
  });

  test('a put under a reserved key may be repeated, but not with another body', async () => {
    const { db, databases } = await testDatastore();
    const keys = await db.reserveKeys(5, 3);
    expect(new Set(keys.map(String)).size).toBe(3);
    expect(await db.put(5, 1, { a: '1' }, { key: keys[0]! })).toEqual(keys[0]);
    const { updated } = (await db.get(keys[0]!))!;
    expect(await db.put(5, 1, { a: '1' }, { key: keys[0]! })).toEqual(keys[0]);
    expect((await db.get(keys[0]!))!.updated).toEqual(updated);
    const other = await rejection(db.put(5, 1, { a: '2' }, { key: keys[0]! }));
    expect(other).toMatchObject({ code: 'KEY_CONFLICT', retryable: false, id: keys[0]!.id });
    // Also when both travel in one batch.
    const both = await Promise.allSettled([
      db.put(5, 1, { x: '1' }, { key: keys[1]! }),
      db.put(5, 1, { x: '1' }, { key: keys[1]! }),
      db.put(5, 1, { x: '2' }, { key: keys[1]! }),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect((await databases[1].query('select count(*)::int as n from shard0005.entities')).rows[0].n).toBe(2);
    expect((await rejection(db.put(6, 1, {}, { key: keys[2]! }))).message).toMatch(
      /belongs to shard 5, not to shard 6/,
    );
  });
});

describe('bad input gets a typed error before the wire', () => {
  test.each<[string, (db: Datastore) => Promise<unknown>, string, RegExp]>([
    ['a number for a key', (db) => db.get(5 as never), 'INVALID_ARGUMENT', /a Key is wanted, not number 5/],
    ['a bigint for a key', (db) => db.get(5n as never), 'INVALID_ARGUMENT', /a Key is wanted/],
    ['an unknown shard', (db) => db.put(9, 1, {}), 'UNKNOWN_SHARD', /shard 9; shards known: 1-9/],
    ['a shard by a key', (db) => db.get(new Key(77n << 10n)), 'UNKNOWN_SHARD', /shard 77/],
    ['a shard as text', (db) => db.put('1' as never, 1, {}), 'INVALID_ARGUMENT', /shard "1"/],
    ['a kind too great', (db) => db.put(1, 40_000, {}), 'INVALID_ARGUMENT', /kind is a smallint/],
    ['a kind as text', (db) => db.put(1, '1; drop table entities' as never, {}), 'INVALID_ARGUMENT', /kind/],
    ['a number in a body', (db) => db.put(1, 1, { n: 5 } as never), 'INVALID_BODY', /"n"/],
    ['an object in a body', (db) => db.put(1, 1, { o: {} } as never), 'INVALID_BODY', /"o"/],
    ['NUL in a value', (db) => db.put(1, 1, { s: 'a\0b' }), 'INVALID_BODY', /"s"/],
    ['NUL in a field', (db) => db.put(1, 1, { 'a\0': '' }), 'INVALID_BODY', /NUL/],
    ['half a surrogate', (db) => db.put(1, 1, { s: '\ud800' }), 'INVALID_BODY', /surrogate/],
    ['no body', (db) => db.put(1, 1, null as never), 'INVALID_BODY', /body/],
    [
      'a wrong date',
      (db) => db.update(new Key(1n << 10n), {}, { ifUnchangedSince: 'x' as never }),
      'INVALID_ARGUMENT',
      /Date/,
    ],
    ['too many keys reserved', (db) => db.reserveKeys(1, 1e6), 'INVALID_ARGUMENT', /count/],
    ['an unknown orderBy', (db) => db.find({ orderBy: 'kind' as never }).next(), 'INVALID_ARGUMENT', /orderBy/],
  ])('%s', async (_, call, code, message) => {
    // Nobody listens at this address: whatever reached the wire would be another error.
    const db = new Datastore([{ host: '127.0.0.1', port: 1, shards: '1-9' }], { poolBlockTimeoutMs: 200 });
    const error = await rejection(Promise.resolve().then(() => call(db)));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    await db.disconnect();
  });

  test.each<[string, unknown, unknown, RegExp]>([
    ['overlapping ranges', [{ shards: '1-5' }, { shards: '4-9' }], {}, /shard 4 is claimed twice/],
    ['a reversed range', [{ shards: '5-1' }], {}, /5-1/],
    ['a range past the end', [{ shards: '8000-9000' }], {}, /9000|8192/],
    ['no ranges', [{}], {}, /shards/],
    ['an unknown key', [{ shards: '1-2', hosst: 'x' }], {}, /did you mean "hosts?"/],
    ['an unknown option', [{ shards: '1-2' }], { poolMaxx: 1 }, /did you mean "poolMax"/],
    ['a pool of none', [{ shards: '1-2' }], { poolMax: 0 }, /poolMax/],
    ['a prefix with quotes', [{ shards: '1-2' }], { schemaPrefix: 'a";drop' }, /schemaPrefix/],
  ])('the constructor refuses %s', (_, connections, options, message) => {
    expect(() => new Datastore(connections as never, options as never)).toThrow(message);
  });
});

describe('life', () => {
  test('disconnect closes every session, and reinstantiate makes new ones', async () => {
    const { db, databases } = await testDatastore();
    const key = await db.put(1, 1, { a: '1' });
    await db.disconnect();
    await db.disconnect();
    const { rows } = await databases[0].query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'pg-hypervault'`,
    );
    expect(rows[0].n).toBe(0);
    expect((await rejection(db.get(key))).code).toBe('CLOSED');
    await db.reinstantiate();
    expect((await db.get(key))?.body).toEqual({ a: '1' });
  });

  test('disconnect waits for what is lent, and cuts it at the deadline', async () => {
    const { db } = await testDatastore();
    const cursor = await db.getConnection(1);
    const started = performance.now();
    const sleeping = rejection(cursor.query('select pg_sleep(20)'));
    await db.disconnect({ deadlineMs: 200 });
    expect(performance.now() - started).toBeLessThan(5_000);
    expect((await sleeping).message).toMatch(/terminated|closed|connection/i);
  });

  test('a signal ends a wait', async () => {
    const { db } = await testDatastore({ poolMax: 1 });
    const held = await db.getConnection(1);
    const stop = new AbortController();
    const waiting = rejection(db.withCursor(1, async () => {}, { signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect(await waiting).toMatchObject({ code: 'ABORTED', cause: new Error('enough') });
    expect(await rejection(db.get(new Key(1n << 10n), { signal: stop.signal }))).toMatchObject({ code: 'ABORTED' });
    await db.putConnection(held);
  });
});
