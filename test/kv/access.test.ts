import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  createCommitServer,
  HttpCommitStorage,
  MemoryCommitStorage,
  type RunningCommitServer,
  serveCommits,
} from '../../src/kv/index.ts';
import { rejection } from '../support/wait-for.ts';
import { get, post } from './support/raw-http.ts';
import { createSelfSigned } from './support/self-signed.ts';

const storage = new MemoryCommitStorage();
const ANN = 'ann-s3cret-token-0001';
const BOT = 'bot-s3cret-token-0002';
const HASHED = 'hash-s3cret-token-0003';
let server: RunningCommitServer;

beforeAll(async () => {
  server = await serveCommits({
    storage,
    port: 0,
    tokens: [
      { token: ANN, author: 'ann', read: [''], write: ['app.', 'ui.'] },
      { token: BOT, author: 'bot', write: ['metrics.'] },
      { sha256: createHash('sha256').update(HASHED).digest('hex'), author: 'hal', read: ['app.'] },
    ],
    anonymous: { read: ['public.'] },
  });
});
afterAll(() => server.close());
beforeEach(async () => {
  await storage.stop();
  for (const key of ['app.a', 'metrics.m', 'public.p'])
    await storage.save({ key, version: 1, payload: Buffer.from('x') });
});

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const status = async (path: string, headers: Record<string, string> = {}) =>
  (await get(server.port, path, headers)).status;

describe('reading', () => {
  test('by prefix; lists show only what may be read', async () => {
    expect(await status('/app.a', bearer(ANN))).toBe(200);
    expect(await status('/app.a', bearer(HASHED))).toBe(200);
    expect(await status('/metrics.m', bearer(HASHED))).toBe(403);
    expect(await status('/metrics.m', bearer(BOT))).toBe(403);
    expect(await status('/public.p')).toBe(200);
    expect(await status('/app.a')).toBe(403);
    for (const path of ['/app.a/1', '/app.a/meta', '/app.a/1/meta', '/app.a/history', '/app.a/diff', '/nope']) {
      expect([path, await status(path)]).toEqual([path, 403]);
    }
    const listed = async (headers: Record<string, string>) =>
      Object.keys(JSON.parse((await get(server.port, '/', headers)).body.toString()));
    expect(await listed(bearer(ANN))).toEqual(['app.a', 'metrics.m', 'public.p']);
    expect(await listed(bearer(HASHED))).toEqual(['app.a']);
    expect(await listed({})).toEqual(['public.p']);
    const changes = JSON.parse((await get(server.port, '/-/changes?after=0', bearer(HASHED))).body.toString());
    expect(changes.commits.map(({ key }: { key: string }) => key)).toEqual(['app.a']);
    expect(changes.revision).toBe('3');
  });

  test.each([
    ['an unknown token', 'Bearer nobody-knows-this-one'],
    ['almost a known one', `Bearer ${ANN}x`],
    ['half of one', `Bearer ${ANN.slice(0, -1)}`],
    ['nothing', 'Bearer '],
    ['another scheme', `Basic ${Buffer.from(`ann:${ANN}`).toString('base64')}`],
    ['two', `Bearer ${ANN} ${BOT}`],
  ])('%s is a 401, also where anonymous would do', async (_what, authorization) => {
    const answer = await get(server.port, '/public.p', { Authorization: authorization });
    expect(answer.status).toBe(401);
    expect(answer.header('WWW-Authenticate')).toMatch(/^Bearer realm=/);
    expect(answer.wire).not.toContain(ANN);
  });

  test('without anonymous rights a token is needed', async () => {
    const closed = await serveCommits({ storage, port: 0, tokens: [{ token: ANN, author: 'ann', read: [''] }] });
    onTestFinished(() => closed.close());
    expect((await get(closed.port, '/public.p')).status).toBe(401);
    expect((await get(closed.port, '/')).status).toBe(401);
    expect((await get(closed.port, '/public.p', bearer(ANN))).status).toBe(200);
  });
});

describe('writing', () => {
  test("the author is the token's, whatever the request says", async () => {
    const answer = await post(server.port, '/app.a/2', { ...bearer(ANN), 'X-Rainer-Author': 'mallory' }, 'y');
    expect(JSON.parse(answer.body.toString()).author).toBe('ann');
    expect((await post(server.port, '/app.a/3', bearer(ANN), 'y')).status).toBe(200);
    expect((await storage.get('app.a'))?.author).toBe('ann');
  });

  test('only under its prefixes; nothing is stored otherwise', async () => {
    for (const [path, token] of [
      ['/metrics.m/2', ANN],
      ['/app.a/2', BOT],
      ['/app.a/2', HASHED],
      ['/appx/1', ANN],
    ] as const) {
      expect((await post(server.port, path, { ...bearer(token), 'X-Rainer-Author': 'x' }, 'y')).status).toBe(403);
    }
    expect((await post(server.port, '/public.p/2', { 'X-Rainer-Author': 'x' }, 'y')).status).toBe(403);
    expect(await storage.revision()).toBe(3n);
    expect((await post(server.port, '/metrics.m/2', bearer(BOT), 'y')).status).toBe(200);
  });

  test('several keys, and rollbacks: every one must be allowed', async () => {
    const body = (...keys: string[]) =>
      JSON.stringify({ commits: keys.map((key) => ({ key, version: 1, empty: true, author: 'mallory' })) });
    expect((await post(server.port, '/-/commits', bearer(ANN), body('app.x', 'metrics.x'))).status).toBe(403);
    expect((await post(server.port, '/-/commits', bearer(ANN), body('app.x', 'ui.x'))).status).toBe(200);
    expect((await storage.get('app.x'))?.author).toBe('ann');
    const compare = JSON.stringify({
      commits: [{ key: 'metrics.n', version: 1, empty: true }],
      compare: { 'app.a': 1 },
    });
    expect((await post(server.port, '/-/commits', bearer(BOT), compare)).status).toBe(403);
    expect((await post(server.port, '/metrics.m/rollback?to=1', bearer(ANN))).status).toBe(403);
    expect((await post(server.port, '/-/rollback-prefix?prefix=&to=0', bearer(ANN))).status).toBe(403);
    expect((await post(server.port, '/-/rollback-prefix?prefix=app.&to=0', bearer(ANN))).status).toBe(200);
    expect((await storage.get('app.a'))?.isEmpty).toBe(true);
  });

  test('a body is not read for those who may not write', async () => {
    const huge = await post(server.port, '/app.a/2', { ...bearer(BOT), 'Content-Length': '99999999' }, 'x');
    expect(huge.status).toBe(403);
  });
});

test('our client sends its token, and says what went wrong', async () => {
  const url = server.url;
  const ann = new HttpCommitStorage({ url, token: ANN });
  await ann.save({ key: 'app.a', version: 2, payload: Buffer.from('y') });
  expect((await ann.get('app.a'))?.author).toBe('ann');
  const error = await rejection(new HttpCommitStorage({ url, token: 'wrong-wrong-wrong-wrong' }).get('app.a'));
  expect(error).toMatchObject({ code: 'HTTP_STORAGE', status: 401 });
  expect(error.message).not.toContain('wrong-wrong');
});

test.each([
  [{ tokens: [{ token: 'short', author: 'a' }] }, /tokens\[0\]: "token" must be at least 16/],
  [{ tokens: [{ author: 'a' }] }, /give one of "token" and "sha256"/],
  [{ tokens: [{ token: ANN }] }, /"author" is missing/],
  [{ tokens: [{ sha256: 'xyz', author: 'a' }] }, /64 hexadecimal digits/],
  [{ tokens: [{ token: ANN, author: 'a', reads: [''] }] }, /did you mean "read"/],
  [{ tokens: [{ token: ANN, author: 'a', read: 'app' }] }, /"read" must be a list/],
  [{ anonymous: { write: [1] } }, /anonymous: "write" must be a list/],
  [{ basePath: 'diary' }, /basePath must look like/],
  [{ maxPayloadBytes: 0 }, /maxPayloadBytes/],
  [{ storag: 1 }, /did you mean "storage"/],
])('a wrong option is told: %j', (options, expected) => {
  expect(() => createCommitServer({ storage, ...options } as never)).toThrow(expected);
});

test('TLS: served and spoken; a certificate that is not trusted is refused', async () => {
  const tls = createSelfSigned();
  if (tls === undefined) return;
  const secure = await serveCommits({ storage, port: 0, basePath: '/d', tls });
  onTestFinished(() => secure.close());
  expect(secure.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/d$/);
  const trusting = new HttpCommitStorage({ url: secure.url, ca: tls.cert });
  await trusting.save({ key: 'tls', version: 1, payload: Buffer.from('x') });
  expect((await trusting.get('tls'))?.version).toBe(1);
  const error = await rejection(new HttpCommitStorage({ url: secure.url }).get('tls'));
  expect(error.code).toBe('SERVER_UNAVAILABLE');
  expect((await rejection(serveCommits({ storage, port: 0, tls: { key: 'x', cert: 'y' } }))).message).toMatch(/^tls: /);
  expect((await rejection(serveCommits({ storage, port: secure.port }))).message).toMatch(/can't listen on/);
});
