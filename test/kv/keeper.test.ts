import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Commit,
  type CommitInput,
  CommitKeeper,
  ConcurrentCommitError,
  KvDatabase,
  keeperPublishing,
  MemoryCommitStorage,
  PostgresCommitStorage,
} from '../../src/kv/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

let server: TestDatabase;
let database: KvDatabase;
let keeper: CommitKeeper;
let table = 0;

beforeAll(async () => {
  server = await freshDatabase({ keep: true });
  database = new KvDatabase({ connection: server.connection });
  await database.install();
});
afterAll(async () => {
  await database.close();
  await server.drop();
});
beforeEach(() => {
  table += 1;
  keeper = new CommitKeeper({ connection: database, table: `k${table}` });
});

const mtime = new Date(1);
const commit = (version: number, payload: string | null, more: Partial<CommitInput> = {}): Commit =>
  new Commit({
    key: 'what',
    version,
    payload: payload === null ? null : Buffer.from(payload),
    author: 'nobody',
    comment: 'nothing',
    mtime,
    ...more,
  });

describe('save, by what is held', () => {
  test('nothing: published at any version; a tombstone is nothing', async () => {
    expect(await keeper.save(commit(7, null))).toBe(false);
    expect(await keeper.get('what')).toBeNull();
    expect(await keeper.save(commit(7, 'xxx'))).toBe(true);
    expect((await keeper.get('what'))?.equals(commit(7, 'xxx'))).toBe(true);
    expect([...(await keeper.heads()).keys()]).toEqual(['what']);
  });

  test('the same commit in all fields: nothing', async () => {
    await keeper.save(commit(1, 'xxx'));
    expect(await keeper.save(commit(1, 'xxx'))).toBe(false);
  });

  test('an older version: replaced, not only by the next one; or removed', async () => {
    await keeper.save(commit(1, 'xxx'));
    expect(await keeper.save(commit(5, 'yyy'))).toBe(true);
    expect((await keeper.get('what'))?.version).toBe(5);
    expect(await keeper.save(commit(9, null))).toBe(true);
    expect(await keeper.get('what')).toBeNull();
    expect((await keeper.heads()).size).toBe(0);
  });

  test.each([
    ['older', commit(1, 'xxx')],
    ['the same with another payload', commit(2, 'zzz')],
    ['the same with another author', commit(2, 'yyy', { author: 'x' })],
    ['the same with another comment', commit(2, 'yyy', { comment: 'x' })],
    ['the same at another time', commit(2, 'yyy', { mtime: new Date(2) })],
    ['the same as a tombstone', commit(2, null)],
    ['an older tombstone', commit(1, null)],
  ])('a version that is known: %s is refused', async (_what, other) => {
    await keeper.save(commit(1, 'xxx'));
    await keeper.save(commit(2, 'yyy'));
    const error = await rejection(keeper.save(other));
    expect(error).toBeInstanceOf(ConcurrentCommitError);
    expect(error).toMatchObject({ key: 'what', presentVersion: 2, providedVersion: other.version });
    expect((await keeper.get('what'))?.equals(commit(2, 'yyy'))).toBe(true);
  });

  test('after a removal an old version comes back, unless the journal knows a newer one', async () => {
    await keeper.save(commit(1, 'xxx'));
    await keeper.save(commit(2, null));
    expect(await keeper.save(commit(1, 'xxx'))).toBe(true);

    const storage = new PostgresCommitStorage({ connection: database, table: keeper.table });
    await storage.start();
    await storage.save(commit(1, 'a', { key: 'journaled' }));
    await storage.save(commit(2, null, { key: 'journaled' }));
    const error = await rejection(keeper.save(commit(1, 'a', { key: 'journaled' })));
    expect(error).toMatchObject({ code: 'CONCURRENT_COMMIT', presentVersion: 2 });
    expect(await keeper.save(commit(3, 'b', { key: 'journaled' }))).toBe(true);
  });

  test('of publishers racing for one key the newest version stays', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => keeper.save(commit(n + 1, `${n}`, { key: 'fresh' }))),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ConcurrentCommitError);
    }
    expect((await keeper.get('fresh'))?.version).toBe(20);
    const same = await Promise.all(Array.from({ length: 10 }, () => keeper.save(commit(1, 'same', { key: 'one' }))));
    expect(same.filter(Boolean)).toHaveLength(1);
  });
});

test('a storage of the same table publishes in its own transaction', async () => {
  const storage = new PostgresCommitStorage({ connection: database, table: keeper.table });
  await storage.start();
  const saved = await storage.save(commit(1, 'xxx'));
  expect((await keeper.get('what'))?.equals(saved)).toBe(true);
  expect(await keeper.save(saved)).toBe(false);
  await storage.save(commit(2, null));
  expect(await keeper.get('what')).toBeNull();
});

test('what a keeper published ahead of the journal is not taken back by the journal', async () => {
  const storage = new PostgresCommitStorage({ connection: database, table: keeper.table });
  await storage.start();
  await keeper.save(commit(5, 'ahead'));
  await storage.save(commit(1, 'journal'));
  expect((await storage.get('what'))?.version).toBe(1);
  expect((await keeper.get('what'))?.version).toBe(5);
});

test('keeperPublishing publishes what is saved; a keeper that fails does not fail the save', async () => {
  const memory = new MemoryCommitStorage();
  const warned: object[] = [];
  const logger = { debug() {}, warn: (fields: object) => void warned.push(fields) };
  const storage = keeperPublishing(memory, keeper, { logger });
  await storage.save(commit(1, 'xxx'));
  expect((await keeper.get('what'))?.version).toBe(1);
  await storage.saveAll([commit(2, 'yyy'), commit(1, 'new', { key: 'other' })]);
  expect([...(await keeper.heads()).keys()]).toEqual(['other', 'what']);
  await keeper.save(commit(9, 'elsewhere'));
  expect((await storage.save(commit(3, 'zzz'))).version).toBe(3);
  expect(warned).toHaveLength(1);
});

test('a keeper without tables says what to do', async () => {
  const bare = await server.query('select 1').then(() => freshDatabase());
  const lost = new CommitKeeper({ connection: bare.connection, install: false });
  const error = await rejection(lost.start());
  expect(error.code).toBe('SCHEMA');
  expect(error.message).toMatch(/hypervault init/);
  await lost.stop();
  const found = new CommitKeeper({ connection: bare.connection });
  await found.start();
  expect(await found.get('x')).toBeNull();
  await found.stop();
});

describe('auto-publisher', () => {
  const heads = async (...commits: Commit[]) => {
    const storage = new MemoryCommitStorage();
    for (const each of commits) {
      for (let version = 1; version < each.version; version++)
        await storage.save(commit(version, 'old', { key: each.key }));
      await storage.save(each);
    }
    return storage;
  };

  test('publishes what is not published, removes what is removed, and goes on past what does not fit', async () => {
    const storage = await heads(
      commit(1, 'a', { key: 'a' }),
      commit(1, 'mine', { key: 'poisoned' }),
      commit(2, null, { key: 'removed' }),
      commit(1, 'z', { key: 'z' }),
    );
    await keeper.save(commit(1, 'theirs', { key: 'poisoned' }));
    await keeper.save(commit(1, 'old', { key: 'removed' }));
    const errors: [unknown, string | undefined][] = [];
    const publisher = keeper.autoPublisher(storage, {
      delay: false,
      periodMs: 20,
      onError: (error, failed) => errors.push([error, failed?.key]),
    });
    publisher.start();
    await waitFor(() => publisher.passes >= 2);
    await publisher.close();
    expect([...(await keeper.heads()).keys()]).toEqual(['a', 'poisoned', 'z']);
    expect(new Set(errors.map(([, key]) => key))).toEqual(new Set(['poisoned']));
    expect(errors[0]![0]).toBeInstanceOf(ConcurrentCommitError);
  });

  test('publishes what a key has now, not what it had when the heads were read', async () => {
    const storage = await heads(commit(1, 'old', { key: 'changed' }), commit(1, 'old', { key: 'removed' }));
    const read = storage.heads.bind(storage);
    storage.heads = async (options) => {
      const found = await read(options);
      storage.heads = read;
      // Between the reading and the publishing others save, and publish at once.
      for (const later of [commit(2, 'new', { key: 'changed' }), commit(2, null, { key: 'removed' })]) {
        await keeper.save(commit(1, 'old', { key: later.key }));
        await storage.save(later);
        await keeper.save(later);
      }
      return found;
    };
    const errors: unknown[] = [];
    const shown: (string | undefined)[] = [];
    const mirror = await keeper.mirror();
    mirror.on('change', ({ key, commit: now }) => shown.push(`${key} ${now?.version ?? 'gone'}`));
    const publisher = keeper.autoPublisher(storage, { delay: false, periodMs: 20, onError: (e) => errors.push(e) });
    publisher.start();
    await waitFor(() => publisher.passes >= 2);
    await publisher.close();
    await waitFor(() => mirror.current.get('changed')?.version === 2 && !mirror.current.has('removed'));
    await mirror.close();
    expect(errors).toEqual([]);
    expect([...(await keeper.heads()).values()].map(({ key, version }) => [key, version])).toEqual([['changed', 2]]);
    // shown before the removal, if at all
    expect(shown.lastIndexOf('removed 1')).toBeLessThanOrEqual(shown.indexOf('removed gone'));
    expect(shown.filter((change) => change === 'removed gone').length).toBeLessThanOrEqual(1);
  });

  test('repairs what was changed by hand', async () => {
    const storage = new PostgresCommitStorage({ connection: database, table: keeper.table });
    await storage.start();
    await storage.save(commit(1, 'true'));
    await server.query('delete from hypervault.kv_heads where namespace = $1', [keeper.table]);
    expect(await keeper.get('what')).toBeNull();
    const publisher = keeper.autoPublisher(storage, { delay: false, periodMs: 50 });
    publisher.start();
    await waitFor(async () => (await keeper.get('what'))?.payload?.toString() === 'true');
    await publisher.close();
  });

  test('one is active at a time, and another takes over when it closes', async () => {
    const storage = await heads(commit(1, 'a'));
    const options = { delay: false, periodMs: 20 };
    const publishers = [1, 2, 3].map(() => keeper.autoPublisher(storage, options));
    for (const publisher of publishers) publisher.start();
    const first = await waitFor(() => publishers.find(({ leading }) => leading));
    await waitFor(() => first.passes > 2);
    expect(publishers.filter(({ passes }) => passes > 0)).toEqual([first]);
    await first.close();
    const second = await waitFor(() => publishers.find(({ leading }) => leading), { timeoutMs: 3_000 });
    expect(second).not.toBe(first);
    await Promise.all(publishers.map((publisher) => publisher.close()));
    expect(publishers.some(({ leading }) => leading)).toBe(false);
  });

  test('a pass that fails is told of, and another publisher gets its chance', async () => {
    const storage = await heads(commit(1, 'a'));
    const broken = await heads();
    broken.heads = () => Promise.reject(new Error('no storage'));
    const errors: unknown[] = [];
    const bad = keeper.autoPublisher(broken, { delay: false, periodMs: 500, onError: (error) => errors.push(error) });
    bad.start();
    await waitFor(() => errors.length > 0);
    const good = keeper.autoPublisher(storage, { delay: false, periodMs: 50 });
    good.start();
    await waitFor(() => good.passes > 0, { timeoutMs: 5_000 });
    expect(String(errors[0])).toContain('no storage');
    await Promise.all([good.close(), bad.close()]);
  });

  test('with a delay nothing is published at once', async () => {
    const storage = await heads(commit(1, 'a'));
    const publisher = keeper.autoPublisher(storage, { periodMs: 3_600_000 });
    publisher.start();
    await waitFor(() => publisher.leading);
    expect(await keeper.get('what')).toBeNull();
    await publisher.close();
  });

  test('options are checked', () => {
    const storage = new MemoryCommitStorage();
    expect(() => keeper.autoPublisher(storage, { period: 1 } as never)).toThrow(/did you mean "periodMs"/);
    expect(() => keeper.autoPublisher(storage, { periodMs: 0 })).toThrow(/periodMs/);
    expect(() => new CommitKeeper({ connection: database, table: '' })).toThrow(/table/);
    expect(() => new CommitKeeper({ tabel: 'x' } as never)).toThrow(/did you mean "table"/);
    expect(() => new CommitKeeper({} as never)).toThrow(/"connection" is missing/);
  });
});
