// What our server offers beyond Rainer's: history, diff, rollback, changes, several keys at once, watch.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  type CommitStorage,
  createCommitServer,
  HttpCommitStorage,
  jsonCodec,
  MemoryCommitStorage,
  PostgresCommitStorage,
  withPreSaveHook,
} from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { get, post, serveOnLoopback, type TestServer } from './support/raw-http.ts';

const storage = new MemoryCommitStorage();
let server: TestServer;
const stop = new AbortController();

beforeAll(async () => {
  const signal = stop.signal;
  server = await serveOnLoopback(createCommitServer({ storage, basePath: '/d', maxWatches: 3, signal }), '/d');
});
afterAll(async () => {
  stop.abort();
  await server.close();
});
beforeEach(() => storage.stop());

const mtime = new Date('2014-02-11T22:01:28.839Z');
const save = (key: string, version: number, payload: string | null) =>
  storage.save({
    key,
    version,
    payload: payload === null ? null : Buffer.from(payload),
    author: 'ann',
    comment: '',
    mtime,
  });
const json = async (path: string) => JSON.parse((await get(server.port, path)).body.toString());
const ME = { 'X-Rainer-Author': 'me' };

describe('history', () => {
  test('pages, newest first, with deleted versions', async () => {
    for (let version = 1; version <= 5; version++) await save('foo', version, version === 3 ? null : `${version}`);
    const first = await json('/d/foo/history?limit=2');
    expect(first.more).toBe(true);
    expect(first.versions).toEqual([
      { key: 'foo', version: 5, author: 'ann', comment: '', mtime: mtime.toISOString(), empty: false, revision: '5' },
      { key: 'foo', version: 4, author: 'ann', comment: '', mtime: mtime.toISOString(), empty: false, revision: '4' },
    ]);
    const rest = await json('/d/foo/history?before=4&payload_utf8=yes');
    expect(rest.versions.map((v: { payload_utf8?: string }) => v.payload_utf8)).toEqual([undefined, '2', '1']);
    expect(rest.more).toBe(false);
    expect(await json('/d/nope/history')).toEqual({ key: 'nope', versions: [], more: false });
  });

  test.each(['limit=-1', 'limit=9999', 'limit=x', 'before=', 'before=1.5', 'payload_utf8=x'])(
    '%s is a 400',
    async (query) => {
      expect((await get(server.port, `/d/foo/history?${query}`)).status).toBe(400);
    },
  );

  test('a key called history, and the keys under -, are keys like others', async () => {
    await save('history', 1, 'h');
    await save('-', 1, 'dash');
    expect((await get(server.port, '/d/history')).body.toString()).toBe('h');
    expect((await get(server.port, '/d/-')).body.toString()).toBe('dash');
    expect((await get(server.port, '/d/-/1')).body.toString()).toBe('dash');
    expect((await json('/d/-/history')).versions).toHaveLength(1);
    expect((await json('/d/-/meta')).key).toBe('-');
  });
});

describe('diff', () => {
  test('what the newest version changed, or between two', async () => {
    await save('foo', 1, 'a: 1\nb: 2\nc: 3\n');
    await save('foo', 2, 'a: 1\nb: two\nc: 3');
    await save('foo', 3, null);
    const text = async (query: string) => (await get(server.port, `/d/foo/diff${query}`)).body.toString();
    expect(await text('?from=1&to=2')).toBe('--- foo 1\n+++ foo 2\n@@ -1,3 +1,3 @@\n a: 1\n-b: 2\n+b: two\n c: 3\n');
    expect(await text('')).toBe('--- foo 2\n+++ foo 3\n@@ -1,3 +0,0 @@\n-a: 1\n-b: two\n-c: 3\n');
    expect(await text('?to=1')).toContain('@@ -0,0 +1,3 @@');
    expect(await text('?from=2&to=2')).toBe('');
    expect((await get(server.port, '/d/foo/diff?to=9')).status).toBe(404);
    expect((await get(server.port, '/d/nope/diff')).status).toBe(404);
  });

  test('bytes that are no text, only a line end, and what is too long', async () => {
    await storage.save({ key: 'bin', version: 1, payload: Buffer.from([255]) });
    expect((await get(server.port, '/d/bin/diff')).body.toString()).toContain(
      'Binary payloads differ: 0 bytes, 1 bytes',
    );
    await save('end', 1, 'x');
    await save('end', 2, 'x\n');
    expect((await get(server.port, '/d/end/diff')).body.toString()).toContain('\\ No newline at end of file');
    await save('big', 1, 'x'.repeat(2 * 1024 * 1024));
    expect((await get(server.port, '/d/big/diff')).status).toBe(422);
  });
});

describe('rollback', () => {
  test('a key: the old payload is a new version; said plainly', async () => {
    for (const [version, payload] of [
      [1, 'one'],
      [2, 'two'],
      [3, null],
    ] as const)
      await save('foo', version, payload);
    const dry = await post(server.port, '/d/foo/rollback?to=1&dry_run=yes', ME);
    expect(JSON.parse(dry.body.toString())).toEqual({ steps: [{ key: 'foo', from: 3, to: 1, version: 4 }] });
    expect((await storage.get('foo'))?.version).toBe(3);
    expect((await post(server.port, '/d/foo/rollback?to=1', ME)).status).toBe(200);
    const head = await storage.get('foo');
    expect([head?.version, head?.payload?.toString(), head?.author, head?.comment]).toEqual([
      4,
      'one',
      'me',
      'rollback from version 3 to 1',
    ]);
    const again = await post(server.port, '/d/foo/rollback?to=1', ME);
    expect(JSON.parse(again.body.toString())).toEqual({ steps: [] });
    await post(server.port, '/d/foo/rollback?to=3', { ...ME, 'X-Rainer-Comment': 'off' });
    expect((await storage.get('foo'))?.isEmpty).toBe(true);
    expect((await storage.get('foo'))?.comment).toBe('off');
  });

  test.each([
    ['/d/foo/rollback', ME, 400],
    ['/d/foo/rollback?to=9', ME, 400],
    ['/d/foo/rollback?to=x', ME, 400],
    ['/d/nope/rollback?to=1', ME, 400],
    ['/d/foo/rollback?to=1', {}, 400],
    ['/d/-/rollback-prefix?prefix=f', ME, 400],
    ['/d/-/rollback-prefix?prefix=f&to=99', ME, 410],
  ])('POST %s is refused', async (path, headers, status) => {
    await save('foo', 1, 'one');
    expect((await post(server.port, path, headers)).status).toBe(status);
    expect(await storage.revision()).toBe(1n);
  });

  test('a prefix: changed, new and removed keys are as they were, in one step', async () => {
    await save('a.changed', 1, 'old');
    await save('a.removed', 1, 'old');
    await save('a.same', 1, 'old');
    const { revision } = await storage.snapshot();
    await save('a.changed', 2, 'new');
    await save('a.changed', 3, 'newer');
    await save('a.removed', 2, null);
    await save('a.new', 1, 'new');
    await save('a.same', 2, 'else');
    await save('a.same', 3, 'old');
    await save('b.other', 1, 'new');
    const answer = await post(server.port, `/d/-/rollback-prefix?prefix=a.&to=${revision}`, ME);
    expect(JSON.parse(answer.body.toString()).steps).toEqual([
      { key: 'a.changed', from: 3, to: 1, version: 4 },
      { key: 'a.removed', from: 2, to: 1, version: 3 },
      { key: 'a.new', from: 1, to: null, version: 2 },
    ]);
    const heads = await storage.headsNonEmpty();
    expect([...heads].map(([key, { payload }]) => `${key}=${payload}`)).toEqual([
      'a.changed=old',
      'a.removed=old',
      'a.same=old',
      'b.other=new',
    ]);
  });
});

describe('several keys', () => {
  const commits = (body: unknown, headers: Record<string, string> = ME) =>
    post(server.port, '/d/-/commits', headers, typeof body === 'string' ? body : JSON.stringify(body));

  test('all or none, with comparisons', async () => {
    await save('epoch', 1, '1');
    const body = {
      commits: [
        { key: 'a', version: 1, payload_utf8: 'x', comment: 'both' },
        { key: 'b', version: 1, payload_base64: 'AAE=', author: 'bob', mtime: '2020-01-01' },
        { key: 'c', version: 1, empty: true },
      ],
      compare: { epoch: 1 },
    };
    const answer = await commits(body);
    expect(answer.status).toBe(200);
    const saved = JSON.parse(answer.body.toString()).commits;
    expect(saved.map((c: { key: string; author: string; revision: string }) => [c.key, c.author, c.revision])).toEqual([
      ['a', 'me', '2'],
      ['b', 'bob', '3'],
      ['c', 'me', '4'],
    ]);
    const stale = await commits({ ...body, compare: { epoch: 0 } });
    expect([stale.status, stale.body.toString()]).toEqual([
      409,
      '{"conflict":{"key":"epoch","expectedVersion":1,"providedVersion":0}}\r\n',
    ]);
    expect(
      (
        await commits({
          commits: [
            { key: 'd', version: 1, empty: true },
            { key: 'a', version: 1, empty: true },
          ],
        })
      ).status,
    ).toBe(409);
    expect(await storage.get('d')).toBeNull();
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no commits', {}],
    ['none', { commits: [] }],
    ['too many', { commits: Array.from({ length: 1001 }, (_, n) => ({ key: `k${n}`, version: 1, empty: true })) }],
    ['no key', { commits: [{ version: 1, empty: true }] }],
    ['an empty key', { commits: [{ key: '', version: 1, empty: true }] }],
    ['a quoted version', { commits: [{ key: 'a', version: '1', empty: true }] }],
    ['no payload', { commits: [{ key: 'a', version: 1 }] }],
    ['two payloads', { commits: [{ key: 'a', version: 1, payload_utf8: '', payload_base64: '' }] }],
    ['a payload on a tombstone', { commits: [{ key: 'a', version: 1, payload_utf8: '', empty: true }] }],
    ['a bad time', { commits: [{ key: 'a', version: 1, empty: true, mtime: 'now' }] }],
    ['a bad comparison', { commits: [{ key: 'a', version: 1, empty: true }], compare: { a: '1' } }],
    ['a comparison that is a list', { commits: [{ key: 'a', version: 1, empty: true }], compare: [] }],
  ])('%s is a 400, and nothing is stored', async (_what, body) => {
    const answer = await commits(body);
    expect(answer.status).toBe(400);
    expect(answer.body.length).toBeGreaterThan(10);
    expect(await storage.revision()).toBe(0n);
  });

  test('payloads are checked with the codec, hooks are asked', async () => {
    const inner = new MemoryCommitStorage({ codec: jsonCodec() });
    const hooked = withPreSaveHook(inner, ({ key }) => {
      if (key === 'bad') throw new Error('bad key');
    });
    const strict = await serveOnLoopback(createCommitServer({ storage: hooked }));
    onTestFinished(() => strict.close());
    const send = async (key: string, payload: string) => {
      const body = JSON.stringify({
        commits: [
          { key: 'ok', version: 1, payload_utf8: '1' },
          { key, version: 1, payload_utf8: payload },
        ],
      });
      return (await post(strict.port, '/-/commits', ME, body)).body.toString();
    };
    expect(await send('x', '{')).toMatch(/^Malformed input: x: /);
    expect(await send('bad', '{}')).toBe('bad key');
    expect((await inner.heads()).size).toBe(0);
  });
});

describe('watch', () => {
  interface Reader {
    readonly status: number;
    text: string;
    body: string;
    close(): void;
  }
  async function watch(query: string, headers: Record<string, string> = {}): Promise<Reader> {
    const abort = new AbortController();
    const response = await fetch(`${server.url}/-/watch${query}`, { headers, signal: abort.signal });
    const reader: Reader = { status: response.status, text: '', body: '', close: () => abort.abort() };
    onTestFinished(() => abort.abort());
    if (response.status !== 200) reader.body = await response.text();
    else {
      (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of response.body!) reader.text += decoder.decode(chunk as Uint8Array);
      })().catch(() => {});
    }
    return reader;
  }

  test('events carry the revision as id and the meta as data; a client comes back with it', async () => {
    await save('foo', 1, 'one');
    const first = await watch('');
    await save('foo', 2, 'two');
    await waitFor(() => first.text.includes('id: 2\n'));
    expect(first.text).toBe(
      'retry: 1000\n\n' +
        'event: progress\nid: 1\ndata: {"revision":"1"}\n\n' +
        'event: commit\nid: 2\ndata: {"key":"foo","version":2,"author":"ann","comment":"","mtime":"2014-02-11T22:01:28.839Z","empty":false,"revision":"2"}\n\n',
    );
    first.close();
    await save('foo', 3, 'three');
    await save('bar', 1, null);
    const second = await watch('?after=0&payload_utf8=yes', { 'Last-Event-ID': '2' });
    await waitFor(() => second.text.includes('id: 4\n'));
    expect([...second.text.matchAll(/"key":"(\w+)"/g)].map(([, key]) => key)).toEqual(['foo', 'bar']);
    expect(second.text).toContain('"payload_utf8":"three"');
    second.close();
  });

  test('only its prefix; line ends in comments stay inside the data', async () => {
    const reader = await watch('?prefix=a.');
    await storage.save({ key: 'b.x', version: 1, payload: null });
    await storage.save({ key: 'a.x', version: 1, payload: null, comment: 'one\n\nevent: commit\ndata: {}' });
    await waitFor(() => reader.text.includes('"a.x"'));
    expect(reader.text).not.toContain('"b.x"');
    expect([...reader.text.matchAll(/^event: commit$/gm)]).toHaveLength(1);
    reader.close();
  });

  test('from the future, or from before what is kept: 410', async () => {
    const answer = await watch('?after=7');
    expect([answer.status, answer.body]).toEqual([410, '{"compacted":{"revision":"7","compactedThrough":"0"}}\r\n']);
    for (const bad of ['?after=x', '?after=-1', '?after=9223372036854775808'])
      expect((await watch(bad)).status).toBe(400);
  });

  test('more watches than allowed are told to come back', async () => {
    const readers = [await watch(''), await watch(''), await watch('')];
    expect((await watch('')).status).toBe(503);
    readers[0]!.close();
    await waitFor(async () => {
      const reader = await watch('');
      reader.close();
      return reader.status === 200;
    });
    for (const reader of readers) reader.close();
  });

  test('a storage without revisions: 501, and the client says so', async () => {
    const bare: CommitStorage = {
      start: async () => {},
      stop: async () => {},
      heads: () => storage.heads(),
      headsNonEmpty: () => storage.headsNonEmpty(),
      get: (key, version) => storage.get(key, version),
      save: (commit) => storage.save(commit),
    };
    const small = await serveOnLoopback(createCommitServer({ storage: bare }));
    onTestFinished(() => small.close());
    await save('foo', 1, 'x');
    expect((await get(small.port, '/')).body.toString()).toContain('"foo"');
    for (const path of ['/-/watch', '/-/changes?after=0', '/foo/history', '/-/revision']) {
      expect((await get(small.port, path)).status).toBe(501);
    }
    const client = new HttpCommitStorage({ url: small.url });
    expect((await rejection(client.history('foo'))).code).toBe('UNSUPPORTED_BY_STORAGE');
    expect((await rejection(client.snapshot())).code).toBe('UNSUPPORTED_BY_STORAGE');
    expect((await client.get('foo'))?.version).toBe(1);
  });

  test('over a link that is cut again and again nothing is missed and nothing comes twice', async () => {
    const database = await freshDatabase();
    const journal = new PostgresCommitStorage({ connection: database.connection });
    await journal.start();
    onTestFinished(() => journal.stop());
    const origin = await serveOnLoopback(createCommitServer({ storage: journal }));
    onTestFinished(() => origin.close());
    const proxy = await startProxy({ port: origin.port });
    const remote = new HttpCommitStorage({ url: `http://127.0.0.1:${proxy.port}` });
    const done = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { key, version } of remote.watch({ after: 0n, signal: done.signal })) {
        seen.push(`${key}${version}`);
        if (seen.length === 200) done.abort();
      }
    })();
    const expected: string[] = [];
    const cutting = setInterval(() => proxy.cut(), 150);
    onTestFinished(() => clearInterval(cutting));
    for (let n = 0; n < 200; n++) {
      const saved = await journal.save({
        key: `k${n % 5}`,
        version: Math.floor(n / 5) + 1,
        payload: Buffer.from(String(n)),
      });
      expected.push(`${saved.key}${saved.version}`);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await watching;
    expect(seen).toEqual(expected);
  });
});
