// One suite over every storage: what holds for one holds for all.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Commit,
  type CommitInput,
  CommitOrderingError,
  type CommitStorage,
  createCommitServer,
  HttpCommitStorage,
  isJournal,
  jsonCodec,
  MemoryCommitStorage,
  PostgresCommitStorage,
} from '../../src/kv/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection } from '../support/wait-for.ts';
import { serveOnLoopback, type TestServer } from './support/raw-http.ts';

const codec = jsonCodec();

interface Stage {
  make(): Promise<CommitStorage<unknown>>;
  end(): Promise<void>;
}

let database: TestDatabase;
let table = 0;
beforeAll(async () => {
  database = await freshDatabase({ keep: true });
});
afterAll(() => database.drop());

const postgres = async (): Promise<CommitStorage<unknown>> => {
  table += 1;
  const storage = new PostgresCommitStorage({ connection: database.connection, table: `t${table}`, codec });
  await storage.start();
  return storage;
};

function behindHttp(make: () => Promise<CommitStorage<unknown>>): Stage {
  let inner: CommitStorage<unknown>;
  let server: TestServer;
  return {
    async make() {
      inner = await make();
      server = await serveOnLoopback(createCommitServer({ storage: inner, basePath: '/diary' }), '/diary');
      return new HttpCommitStorage({ url: server.url, codec });
    },
    async end() {
      await server.close();
      await inner.stop();
    },
  };
}

function alone(make: () => Promise<CommitStorage<unknown>>): Stage {
  let storage: CommitStorage<unknown>;
  return {
    async make() {
      storage = await make();
      return storage;
    },
    end: () => storage.stop(),
  };
}

const memory = async () => new MemoryCommitStorage({ codec });

describe.each([
  ['memory', alone(memory)],
  ['postgres', alone(postgres)],
  ['http over memory', behindHttp(memory)],
  ['http over postgres', behindHttp(postgres)],
])('%s', (_name, stage) => {
  let storage: CommitStorage<unknown>;
  beforeEach(async () => {
    storage = await stage.make();
    return () => stage.end();
  });

  const mtime = new Date('2014-02-11T22:01:28.839Z');
  const input = (key: string, version: number, payload: string | null, more: object = {}): CommitInput => ({
    key,
    version,
    payload: payload === null ? null : Buffer.from(payload),
    author: 'ann',
    comment: `v${version}`,
    mtime,
    ...more,
  });
  const expectSame = (actual: Commit<unknown> | null | undefined, expected: CommitInput) => {
    expect(String(actual)).toBe(String(new Commit(expected)));
    expect(actual?.equals(new Commit(expected))).toBe(true);
  };

  test('knows nothing at first', async () => {
    expect(await storage.heads()).toEqual(new Map());
    expect(await storage.headsNonEmpty()).toEqual(new Map());
    expect(await storage.get('foo')).toBeNull();
    expect(await storage.get('foo', 1)).toBeNull();
  });

  test('keeps every version; the newest is the head', async () => {
    const [one, two] = [input('foo', 1, '{"a":1}'), input('foo', 2, '{"a":2}')];
    expectSame(await storage.save(one), one);
    expectSame(await storage.save(two), two);
    expectSame(await storage.get('foo'), two);
    expectSame(await storage.get('foo', 1), one);
    expectSame(await storage.get('foo', 2), two);
    expect(await storage.get('foo', 3)).toBeNull();
    expect(await storage.get('foo', 0)).toBeNull();
    expect(await storage.get('foo', -1)).toBeNull();
  });

  test('a version that is not the next one is refused, and nothing is written', async () => {
    await storage.save(input('foo', 1, '1'));
    for (const version of [1, 3, 0, -(2 ** 31), 2 ** 31 - 1]) {
      const error = await rejection(storage.save(input('foo', version, '2')));
      expect(error).toBeInstanceOf(CommitOrderingError);
      expect(error).toMatchObject({ key: 'foo', expectedVersion: 2, providedVersion: version });
    }
    const missing = await rejection(storage.save(input('bar', 2, '2')));
    expect(missing).toMatchObject({ key: 'bar', expectedVersion: 1, providedVersion: 2 });
    expect([...(await storage.heads()).values()].map(({ version }) => version)).toEqual([1]);
  });

  test('tombstones: on a missing key, on a tombstone, and the key comes back', async () => {
    await storage.save(input('gone', 1, null));
    await storage.save(input('gone', 2, null));
    expect((await storage.get('gone'))?.isEmpty).toBe(true);
    expect((await storage.headsNonEmpty()).size).toBe(0);
    expect((await storage.heads()).get('gone')?.version).toBe(2);
    await storage.save(input('gone', 3, '"back"'));
    expect((await storage.headsNonEmpty()).get('gone')?.valueOption).toBe('back');
    expect((await storage.get('gone', 2))?.payload).toBeNull();
  });

  test('heads: the newest of each key, by key', async () => {
    for (const key of ['b', 'a', 'c', '10', '9', '__proto__', 'a.b']) await storage.save(input(key, 1, '1'));
    await storage.save(input('a', 2, '2'));
    await storage.save(input('b', 2, null));
    const heads = await storage.heads();
    expect([...heads.keys()]).toEqual(['10', '9', '__proto__', 'a', 'a.b', 'b', 'c']);
    expectSame(heads.get('a'), input('a', 2, '2'));
    expect([...(await storage.headsNonEmpty()).keys()]).toEqual(['10', '9', '__proto__', 'a', 'a.b', 'c']);
    expect([...(await storage.heads({ prefix: 'a' })).keys()]).toEqual(['a', 'a.b']);
    expect([...(await storage.headsNonEmpty({ prefix: 'b' })).keys()]).toEqual([]);
    expect([...(await storage.heads({ prefix: '%' })).keys()]).toEqual([]);
  });

  test.each([
    ['line ends and control characters', { comment: 'one\r\ntwo\n\tthree\x7f' }],
    ['spaces at the ends', { comment: '  spaced  ', author: ' ann ' }],
    ['texts of other alphabets', { comment: 'naïve 名前 🙂', author: 'Zoë', key: 'schlüssel/名?#;%20 +' }],
    ['latin-1 that looks like UTF-8', { comment: 'Ã©' }],
    ['empty texts', { comment: '', author: '' }],
    ['long texts', { comment: 'ß\n'.repeat(2730), author: 'é'.repeat(256), key: 'ü'.repeat(256) }],
    ['a key called meta', { key: 'meta' }],
    ['a key with a line end', { key: 'a\r\nb' }],
    ['times of old', { mtime: new Date('0001-01-01T00:00:00.000Z') }],
    ['times to come', { mtime: new Date('9999-12-31T23:59:59.999Z') }],
  ])('keeps %s', async (_what, more) => {
    const commit = input('foo', 1, '{}', more);
    await storage.save(commit);
    expectSame(await storage.get(commit.key), commit);
    expectSame(await storage.get(commit.key, 1), commit);
    expectSame((await storage.heads()).get(commit.key), commit);
  });

  test('bytes are kept as they are', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const raw = storage instanceof HttpCommitStorage ? Buffer.from(JSON.stringify(every.toString('latin1'))) : every;
    await storage.save({ ...input('bytes', 1, ''), payload: raw });
    expect((await storage.get('bytes'))?.payload?.equals(raw)).toBe(true);
    expect((await storage.headsNonEmpty()).get('bytes')?.payload?.equals(raw)).toBe(true);
  });

  test('a payload of 2 MiB', async () => {
    const payload = Buffer.from(JSON.stringify('x'.repeat(2 * 1024 * 1024)));
    await storage.save({ ...input('big', 1, ''), payload });
    expect((await storage.get('big'))?.payload?.equals(payload)).toBe(true);
  });

  test('values are read with the codec', async () => {
    await storage.save(input('json', 1, '{"on":true}'));
    expect((await storage.get('json'))?.valueOption).toEqual({ on: true });
    expect((await storage.heads()).get('json')?.valueOption).toEqual({ on: true });
  });

  test('of writers racing for one version exactly one wins', async () => {
    for (const version of [1, 2, 3]) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 16 }, (_, n) => storage.save(input('race', version, String(n), { author: `w${n}` }))),
      );
      const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(lost).toHaveLength(15);
      for (const { reason } of lost) {
        expect(reason).toMatchObject({
          code: 'COMMIT_ORDERING',
          expectedVersion: version + 1,
          providedVersion: version,
        });
      }
    }
    expect((await storage.heads()).get('race')?.version).toBe(3);
  });

  test('a signal that has fired stops the call', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const calls = [
      storage.get('foo', undefined, { signal }),
      storage.heads({ signal }),
      storage.save(input('foo', 1, '1'), { signal }),
    ];
    for (const call of calls) expect((await rejection(call)).code).toBe('ABORTED');
    expect(await storage.get('foo')).toBeNull();
  });

  test('a commit without payload is a mistake, not a tombstone', async () => {
    const error = await rejection(storage.save({ key: 'foo', version: 1 } as never));
    expect(error.code).toBe('INVALID_ARGUMENT');
  });

  describe('as a journal', () => {
    test('several keys at once: all or none', async () => {
      if (!isJournal(storage)) return;
      await storage.save(input('a', 1, '1'));
      const error = await rejection(storage.saveAll([input('b', 1, '1'), input('a', 3, '2')]));
      expect(error).toMatchObject({ key: 'a', expectedVersion: 2, providedVersion: 3 });
      expect(await storage.get('b')).toBeNull();
      const saved = await storage.saveAll([input('b', 1, '1'), input('a', 2, null), input('b', 2, '2')]);
      expect(saved.map(({ key, version, isEmpty }) => [key, version, isEmpty])).toEqual([
        ['b', 1, false],
        ['a', 2, true],
        ['b', 2, false],
      ]);
      expect((await storage.get('b'))?.version).toBe(2);
      expect(await storage.saveAll([])).toEqual([]);
    });

    test('further keys can be compared', async () => {
      if (!isJournal(storage)) return;
      await storage.save(input('epoch', 1, '1'));
      const stale = await rejection(storage.saveAll([input('x', 1, '1')], { compare: { epoch: 0 } }));
      expect(stale).toMatchObject({ key: 'epoch', expectedVersion: 1, providedVersion: 0 });
      await storage.saveAll([input('x', 1, '1')], { compare: { epoch: 1, never: 0 } });
      const map = new Map([['never', 7]]);
      expect(await rejection(storage.saveAll([input('x', 2, '1')], { compare: map }))).toMatchObject({
        key: 'never',
        expectedVersion: 0,
        providedVersion: 7,
      });
      expect((await storage.heads()).get('x')?.version).toBe(1);
    });

    test('history: newest first, in pages, tombstones included', async () => {
      if (!isJournal(storage)) return;
      for (let version = 1; version <= 7; version++) {
        await storage.save(input('foo', version, version === 4 ? null : `${version}`));
      }
      const versions = async (options: object) =>
        (await (isJournal(storage) ? storage.history('foo', options) : [])).map(({ version }) => version);
      expect(await versions({})).toEqual([7, 6, 5, 4, 3, 2, 1]);
      expect(await versions({ limit: 3 })).toEqual([7, 6, 5]);
      expect(await versions({ limit: 3, before: 5 })).toEqual([4, 3, 2]);
      expect(await versions({ before: 1 })).toEqual([]);
      expect((await storage.history('foo'))[3]?.isEmpty).toBe(true);
      expect(await storage.history('nope')).toEqual([]);
    });

    test('changes: every commit in order, in pages, by prefix', async () => {
      if (!isJournal(storage)) return;
      const start = (await storage.snapshot()).revision;
      for (const [key, version] of [
        ['a', 1],
        ['b', 1],
        ['a', 2],
        ['a.x', 1],
        ['b', 2],
      ] as const) {
        await storage.save(input(key, version, key === 'b' && version === 2 ? null : '1'));
      }
      const all = await storage.changes({ after: start });
      expect(all.commits.map(({ key, version }) => `${key}${version}`)).toEqual(['a1', 'b1', 'a2', 'a.x1', 'b2']);
      expect(all.more).toBe(false);
      expect(all.revision).toBe((await storage.snapshot()).revision);
      const page = await storage.changes({ after: start, limit: 2 });
      expect([page.commits.length, page.more]).toEqual([2, true]);
      const rest = await storage.changes({ after: page.revision });
      expect(rest.commits.map(({ key, version }) => `${key}${version}`)).toEqual(['a2', 'a.x1', 'b2']);
      const prefixed = await storage.changes({ after: start, prefix: 'a' });
      expect(prefixed.commits.map(({ key }) => key)).toEqual(['a', 'a', 'a.x']);
      expect(prefixed.revision).toBe(all.revision);
      const future = await rejection(storage.changes({ after: all.revision + 1n }));
      expect(future.code).toBe('REVISION_COMPACTED');
    });

    test('watch: from a revision on, then live; ends with its signal', async () => {
      if (!isJournal(storage)) return;
      await storage.save(input('a', 1, '1'));
      const { revision } = await storage.snapshot();
      await storage.save(input('a', 2, '2'));
      await storage.save(input('b', 1, '1'));
      const stop = new AbortController();
      const seen: string[] = [];
      const progress: bigint[] = [];
      const options = {
        after: revision,
        prefix: 'a',
        signal: stop.signal,
        onProgress: (at: bigint) => progress.push(at),
      };
      for await (const commit of storage.watch(options)) {
        seen.push(`${commit.key}${commit.version}`);
        if (seen.length === 1) await storage.save(input('b', 2, '1'));
        if (seen.length === 1) await storage.save(input('a', 3, null));
        if (seen.length === 2) stop.abort();
      }
      expect(seen).toEqual(['a2', 'a3']);
      expect(progress.length).toBeGreaterThan(0);
    });

    test('watch without a revision begins now', async () => {
      if (!isJournal(storage)) return;
      await storage.save(input('a', 1, '1'));
      const watch = storage.watch();
      const first = watch.next();
      const saving = (async () => {
        for (let version = 2; version < 40; version++) {
          await storage.save(input('a', version, '1'));
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      const { value } = await first;
      expect(value?.version).toBeGreaterThan(1);
      await saving;
      await watch.return?.();
    });
  });
});
