// Asking whether a commit would be taken: the answers of a save, and nothing written.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CommitRefusedError,
  createCommitServer,
  dryRun,
  HttpCommitStorage,
  jsonCodec,
  MemoryCommitStorage,
  withPostSaveHook,
  withPreSaveHook,
} from '../../src/kv/index.ts';
import { hypervault } from '../support/cli.ts';
import { rejection } from '../support/wait-for.ts';
import { get, post, serveOnLoopback, type TestServer } from './support/raw-http.ts';

const memory = new MemoryCommitStorage<unknown>({ codec: jsonCodec() });
let afterwards = 0;
const counting = withPostSaveHook(memory, () => {
  afterwards += 1;
});
const storage = withPreSaveHook(counting, ({ comment }) => {
  if (comment === '') throw new CommitRefusedError('please say why');
});
let server: TestServer;

beforeEach(async () => {
  afterwards = 0;
  await memory.save({ key: 'limits', version: 1, payload: Buffer.from('{"max":5}\n'), author: 'ann' });
  server = await serveOnLoopback(
    createCommitServer({
      storage,
      tokens: [{ token: 'writes-only-token-1', author: 'bot', write: [''] }],
      anonymous: { read: [''], write: [''] },
    }),
  );
});
afterEach(async () => {
  await server.close();
  await memory.stop();
});

const nothingWritten = async () => {
  expect([(await memory.revision()).toString(), afterwards]).toEqual(['1', 0]);
};
const ME = { 'X-Rainer-Author': 'me', 'X-Rainer-Comment': 'why' };

describe('over HTTP', () => {
  test('what would be saved, and how it differs', async () => {
    const answer = await post(server.port, '/limits/2?dry_run=yes', ME, '{"max":9}\n');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toEqual({
      dry_run: true,
      commit: {
        key: 'limits',
        version: 2,
        author: 'me',
        comment: 'why',
        mtime: expect.stringMatching(/Z$/),
        empty: false,
      },
      diff: '--- limits 1\n+++ limits 2\n@@ -1 +1 @@\n-{"max":5}\n+{"max":9}\n',
    });
    await nothingWritten();
  });

  test.each([
    ['a version that is not the next', '/limits/3?dry_run=1', ME, '{}', 409, '"expectedVersion":2'],
    ['a payload that is none', '/limits/2?dry_run=true', ME, '{', 400, 'Malformed input'],
    ['a hook', '/limits/2?dry_run=yes', { 'X-Rainer-Author': 'me' }, '{}', 400, 'please say why'],
    ['no author', '/limits/2?dry_run=yes', {}, '{}', 400, 'Missing header: X-Rainer-Author'],
    ['no boolean', '/limits/2?dry_run=maybe', ME, '{}', 400, "Invalid 'dry_run' parameter"],
  ])('refused as a save is: %s', async (_what, path, headers, body, status, text) => {
    const answer = await post(server.port, path, headers as Record<string, string>, body);
    expect([answer.status, answer.body.toString()]).toEqual([status, expect.stringContaining(text)]);
    await nothingWritten();
  });

  test('who may not read the key is not shown what is in it', async () => {
    const headers = { ...ME, Authorization: 'Bearer writes-only-token-1' };
    const answer = await post(server.port, '/limits/2?dry_run=yes', headers, '{"max":9}\n');
    expect([answer.status, JSON.parse(answer.body.toString()).diff]).toEqual([200, null]);
    expect(answer.wire).not.toContain('max');
  });
});

describe('in the library', () => {
  test.each([
    ['a storage of this process', () => storage],
    ['a storage over HTTP', () => new HttpCommitStorage<unknown>({ url: server.url, codec: jsonCodec() })],
  ])('%s', async (_what, of) => {
    const asked = of();
    const commit = { key: 'limits', version: 2, payload: Buffer.from('{}'), author: 'me', comment: 'why' };
    const { head } = await dryRun(asked, commit);
    expect(head?.version).toBe(1);
    expect(await rejection(dryRun(asked, { ...commit, version: 1 }))).toMatchObject({ code: 'COMMIT_ORDERING' });
    expect((await rejection(dryRun(asked, { ...commit, comment: '' }))).message).toContain('please say why');
    await nothingWritten();
  });

  test('a server that knows no dry runs is not asked: it would save', async () => {
    const asked: string[] = [];
    const rainer = await serveOnLoopback((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(request.url === '/-/who-am-i' ? 500 : 200).end('{}');
    });
    const there = new HttpCommitStorage({ url: rainer.url });
    const commit = { key: 'k', version: 1, payload: Buffer.from('x'), author: 'me' };
    expect((await rejection(dryRun(there, commit))).code).toBe('UNSUPPORTED_BY_STORAGE');
    expect(asked).toEqual(['GET /-/who-am-i']);
    await rainer.close();
  });
});

test('on the command line: the change, or the refusal; nothing is saved', async () => {
  const asked = (args: string[], stdin: string) => hypervault(['kv', '--url', server.url, ...args], { stdin });
  const words = ['commit-value', 'limits', '2', '-m', 'why', '--dry-run'];
  expect(await asked(words, '{"max":9}\n')).toMatchObject({
    exitCode: 0,
    stdout: '--- limits 1\n+++ limits 2\n@@ -1 +1 @@\n-{"max":5}\n+{"max":9}\n',
  });
  expect((await asked([...words, '--json'], '{}')).json()).toMatchObject([
    { key: 'limits', version: 2, comment: 'why' },
  ]);
  const conflict = await asked(['commit-value', 'limits', '-m', 'why', '--dry-run'], '{}');
  expect(conflict).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('HTTP Error 409') });
  const prepared = "author: me\ncomment: ''\nversion: 2\n---\n{}\n";
  expect((await asked(['commit', 'limits', '--dry-run'], prepared)).stdout).toContain('please say why');
  await nothingWritten();
});

describe('pages of other origins', () => {
  const posted = (headers: Record<string, string>) => post(server.port, '/limits/2', { ...ME, ...headers }, '{}');

  test.each<[string, Record<string, string>, number]>([
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['a neighbour under the same name', { 'Sec-Fetch-Site': 'same-site' }, 403],
    ['an old browser, another origin', { Origin: 'http://evil.example' }, 403],
    ['a sandboxed page', { Origin: 'null' }, 403],
    ['our own page', { 'Sec-Fetch-Site': 'same-origin', Origin: 'http://behind.a.proxy' }, 200],
    ['our own page in an old browser', { Origin: 'http://localhost' }, 200],
    ['no browser', {}, 200],
  ])('%s', async (_what, headers, status) => {
    expect((await posted(headers)).status).toBe(status);
    expect(await memory.revision()).toBe(status === 200 ? 2n : 1n);
  });

  test('they may be linked from anywhere, and read by nobody else: there is no CORS', async () => {
    const answer = await get(server.port, '/limits', { Origin: 'http://evil.example', 'Sec-Fetch-Site': 'cross-site' });
    expect([answer.status, answer.header('Access-Control-Allow-Origin')]).toEqual([200, undefined]);
  });
});

describe('the files of the page', () => {
  test('need no token, are cached by their tag, and nothing else is served', async () => {
    const closed = await serveOnLoopback(createCommitServer({ storage, tokens: [] }), '');
    const page = await get(closed.port, '/-/page');
    expect([page.status, page.header('Content-Type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.body.toString()).not.toMatch(/<script(?![^>]* src=)|style=|\son\w+=/);
    const policy = page.header('Content-Security-Policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const again = await get(closed.port, '/-/page/main.js', {
      'If-None-Match': (await get(closed.port, '/-/page/main.js')).header('ETag')!,
    });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    for (const path of ['nope.js', '..%2f..%2fpackage.json', '%2e%2e', '__proto__', 'main.js/x', '']) {
      expect([path, (await get(closed.port, `/-/page/${path}`)).status]).toEqual([path, 404]);
    }
    expect((await get(closed.port, '/-/who-am-i')).status).toBe(401);
    expect((await post(closed.port, '/-/page', ME, 'x')).status).toBe(405);
    await closed.close();
  });

  test('page: false serves none', async () => {
    const without = await serveOnLoopback(createCommitServer({ storage, page: false }));
    expect((await get(without.port, '/-/page')).status).toBe(404);
    await without.close();
  });
});
