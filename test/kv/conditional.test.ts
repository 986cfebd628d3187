// ETag, If-None-Match and If-Match: what is held already is not sent again, and nothing is written over what was not seen.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCommitServer, MemoryCommitStorage } from '../../src/kv/index.ts';
import { get, message, post, rawRequest, serveOnLoopback, type TestServer } from './support/raw-http.ts';

const storage = new MemoryCommitStorage();
const mirror = { current: new Map() };
let server: TestServer;
let cached: TestServer;
beforeAll(async () => {
  server = await serveOnLoopback(createCommitServer({ storage }));
  cached = await serveOnLoopback(createCommitServer({ storage, mirror }));
});
afterAll(() => Promise.all([server.close(), cached.close()]));
beforeEach(async () => {
  await storage.stop();
  mirror.current.clear();
  mirror.current.set('k', await save('k', 1, 'one'));
});

const ME = { 'X-Rainer-Author': 'me' };
const mtime = '2020-01-02T03:04:05.006Z';
const save = (key: string, version: number, payload: string | null) =>
  storage.save({ key, version, payload: payload === null ? null : Buffer.from(payload), author: 'ann', mtime });
const tagOf = async (path: string, headers = {}) => (await get(server.port, path, headers)).header('ETag')!;

describe('reads', () => {
  test.each(['/k', '/k/1', '/k/meta', '/k/1/meta', '/', '/?payload_utf8=yes'])('%s', async (path) => {
    const first = await get(server.port, path);
    const tag = first.header('ETag')!;
    expect(tag).toMatch(/^"[\w-]+"$/);
    expect(first.header('Cache-Control')).toBe('no-cache');
    for (const held of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const again = await get(server.port, path, { 'If-None-Match': held });
      expect([held, again.status, again.body.length, again.header('ETag')]).toEqual([held, 304, 0, tag]);
    }
    const head = await rawRequest(server.port, message(`HEAD ${path}`, { 'If-None-Match': tag }));
    expect([head.status, head.header('ETag')]).toEqual([304, tag]);
    for (const held of ['"other"', tag.replaceAll('"', ''), '', 'nonsense']) {
      expect([held, (await get(server.port, path, { 'If-None-Match': held })).status]).toEqual([held, 200]);
    }
  });

  test('a 304 has the headers of the commit; the mirror and the storage agree on the tag', async () => {
    const tag = await tagOf('/k');
    const fromMirror = await get(cached.port, '/k', { 'If-None-Match': tag });
    expect([fromMirror.status, fromMirror.header('X-Rainer-Cached')]).toEqual([304, 'Yes']);
    expect(fromMirror.header('X-Rainer-Version')).toBe('1');
  });

  test('another version, and the same version with another content, have other tags', async () => {
    const [key, list] = [await tagOf('/k'), await tagOf('/')];
    await save('k', 2, 'one');
    expect([await tagOf('/k'), await tagOf('/')].map((tag) => tag === key || tag === list)).toEqual([false, false]);
    await storage.stop();
    await save('k', 1, 'lost and written anew');
    expect(await tagOf('/k')).not.toBe(key);
    expect((await get(server.port, '/k', { 'If-None-Match': key })).status).toBe(200);
  });

  test('what is not there has none', async () => {
    const answer = await get(server.port, '/nope', { 'If-None-Match': '*' });
    expect([answer.status, answer.header('ETag')]).toEqual([404, undefined]);
  });
});

describe('writes', () => {
  const versions = async () => (await storage.history('k')).map(({ version }) => version);

  test('If-Match: only what was seen is written over; the answer carries the next tag', async () => {
    const tag = await tagOf('/k');
    const saved = await post(server.port, '/k/2', { ...ME, 'If-Match': tag }, 'two');
    expect(saved.status).toBe(200);
    expect(saved.header('ETag')).toBe(await tagOf('/k'));
    const late = await post(server.port, '/k/3', { ...ME, 'If-Match': tag }, 'three');
    expect([late.status, late.header('ETag')]).toEqual([412, await tagOf('/k')]);
    expect((await post(server.port, '/k/3', { ...ME, 'If-Match': `W/${await tagOf('/k')}` }, 'x')).status).toBe(412);
    expect((await post(server.port, '/k/3', { ...ME, 'If-Match': '*' }, 'three')).status).toBe(200);
    expect(await versions()).toEqual([3, 2, 1]);
  });

  test('a precondition that holds does not excuse a version that is not the next', async () => {
    expect((await post(server.port, '/k/9', { ...ME, 'If-Match': await tagOf('/k') }, 'x')).status).toBe(409);
    expect((await post(server.port, '/k/2', { 'If-Match': '"no"' }, 'x')).body.toString()).toContain('Missing header');
  });

  test('If-None-Match: * writes only what is not there; a removed key is not there', async () => {
    expect((await post(server.port, '/k/2', { ...ME, 'If-None-Match': '*' }, 'x')).status).toBe(412);
    await save('k', 2, null);
    expect((await post(server.port, '/k/3', { ...ME, 'If-Match': '*' }, 'x')).status).toBe(412);
    expect((await post(server.port, '/k/3', { ...ME, 'If-None-Match': '*' }, 'x')).status).toBe(200);
    expect((await post(server.port, '/new/1', { ...ME, 'If-None-Match': '*' }, 'x')).status).toBe(200);
  });

  test('a rollback and a dry run heed it, too', async () => {
    const old = await tagOf('/k');
    await save('k', 2, 'two');
    expect((await post(server.port, '/k/rollback?to=1', { ...ME, 'If-Match': old })).status).toBe(412);
    expect((await post(server.port, '/k/3?dry_run=yes', { ...ME, 'If-Match': old }, 'x')).status).toBe(412);
    expect(await versions()).toEqual([2, 1]);
    expect((await post(server.port, '/k/rollback?to=1', { ...ME, 'If-Match': await tagOf('/k') })).status).toBe(200);
    expect((await storage.get('k'))?.payload?.toString()).toBe('one');
    expect((await post(server.port, '/k/rollback?to=2&from=2', ME)).status).toBe(409);
    expect((await post(server.port, '/k/rollback?to=2&from=3', ME)).status).toBe(200);
  });
});
