// More that bad clients try: on the routes beyond Rainer's, under a base path, and with time.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MemoryCommitStorage, type RunningCommitServer, serveCommits } from '../../src/kv/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, message, post, rawRequest } from './support/raw-http.ts';

const TOKEN = 'ann-s3cret-token-0001';
const storage = new MemoryCommitStorage();
let server: RunningCommitServer;
let guarded: RunningCommitServer;
beforeAll(async () => {
  server = await serveCommits({ storage, port: 0, basePath: '/diary', maxPayloadBytes: 1_000_000, bodyTimeoutMs: 500 });
  const tokens = [{ token: TOKEN, author: 'ann', read: ['app.'], write: ['app.'] }];
  guarded = await serveCommits({ storage, port: 0, tokens });
});
afterAll(() => Promise.all([server.close(), guarded.close()]));
beforeEach(async () => {
  await storage.stop();
  await storage.save({ key: 'k', version: 1, payload: Buffer.from('one'), author: 'ann' });
});

const ME = { 'X-Rainer-Author': 'me' };
const nothingStored = async () => {
  expect((await get(server.port, '/diary/k')).body.toString()).toBe('one');
  expect((await storage.revision()).toString()).toBe('1');
};

describe('bytes that are no UTF-8', () => {
  const bad = Buffer.from([0x22, 0xc3, 0x28]).toString('latin1');
  const base64 = (bytes: number[]) => Buffer.from(bytes).toString('base64');

  test.each<[string, string, Record<string, string>, string, number]>([
    [
      'in several commits',
      '/diary/-/commits',
      ME,
      `{"commits":[{"key":"a","version":1,"payload_utf8":"${bad[1]!}("}]}`,
      400,
    ],
    ['in an exact comment', '/diary/k/2', { ...ME, 'X-Hypervault-Comment': base64([0xc3, 0x28]) }, 'x', 400],
    ['in an exact author', '/diary/k/2', { 'X-Hypervault-Author': base64([0xff]) }, 'x', 400],
    ['in an exact key', '/diary/k/2', { ...ME, 'X-Hypervault-Key': base64([0xff]) }, 'x', 400],
    ['an exact comment that is no base64', '/diary/k/2', { ...ME, 'X-Hypervault-Comment': 'a b%' }, 'x', 400],
    ['in the comment of a rollback', '/diary/k/rollback?to=1', { ...ME, 'X-Hypervault-Comment': '!' }, '', 400],
    ['in the prefix of a rollback', '/diary/-/rollback-prefix?to=0&prefix=%ff', ME, '', 400],
  ])('%s', async (_what, path, headers, body, status) => {
    expect((await post(server.port, path, headers, body)).status).toBe(status);
    await nothingStored();
  });

  test.each(['/diary/?prefix=%ff', '/diary/-/changes?after=0&prefix=%c3%28', '/diary/-/watch?prefix=%ff'])(
    'a list: %s',
    async (path) => {
      const answer = await get(server.port, path);
      expect([answer.status, answer.body.toString()]).toEqual([400, "Invalid 'prefix' parameter (should be UTF-8)"]);
    },
  );

  test('in a payload it is bytes like any other; in a plain header it is latin-1', async () => {
    const answer = await post(server.port, '/diary/k/2', { 'X-Rainer-Author': 'J\xfcrgen' }, '\xc3\x28');
    expect(answer.status).toBe(200);
    expect(await storage.get('k')).toMatchObject({ author: 'Jürgen', payload: Buffer.from([0xc3, 0x28]) });
    expect((await get(server.port, '/diary/k')).header('Content-Type')).toBe('application/octet-stream');
  });
});

describe('paths around the base', () => {
  test.each([
    ['/', 404],
    ['/diaryx/k/2', 404],
    ['/DIARY/k/2', 404],
    ['//diary/k/2', 404],
    ['/diary//k/2', 404],
    ['/diary/../k/2', 404],
    ['/diary/%2e%2e/2', 400],
    ['/diary/./2', 400],
    ['/other/../diary/k/2', 404],
    ['/diary%2Fk/2', 404],
    ['/diary;/k/2', 405],
    ['/diary/k/2;/../../x', 200],
    ['/diary/k/2/', 404],
    ['/diary/k/2/3/4', 404],
    ['/diary/k/%32', 400],
    ['/diary/k/2%2fmeta', 400],
    ['/diary/k/0x2', 400],
    ['/diary/k/2e0', 400],
    ['/diary/k/99999999999999999999999', 400],
    ['/diary\\k/2', 404],
    ['http://evil.example/diary/k/2', 200],
    ['http://evil.example', 404],
    ['*', 404],
    ['/diary/-/page/../../k/2', 404],
    ['/diary/-/page/%2e%2e%2fpackage.json', 405],
  ])('POST %s', async (path, status) => {
    expect((await post(server.port, path, ME, 'x')).status).toBe(status);
    expect([...(await storage.heads()).keys()]).toEqual(['k']);
    expect((await get(server.port, '/diary/k')).status).toBe(200);
  });
});

describe('several commits in one body', () => {
  const one = '{"key":"a","version":1,"payload_utf8":"x"}';
  test.each([
    ['nothing', ''],
    ['no JSON', '{"commits":['],
    ['null', 'null'],
    ['an array', '[]'],
    ['no commits', '{"commits":[]}'],
    ['too many', `{"commits":[${Array(1_001).fill(one).join(',')}]}`],
    ['very deep', `{"commits":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['a comparison that is none', `{"commits":[${one}],"compare":{"k":"1"}}`],
    ['a comparison as a list', `{"commits":[${one}],"compare":[1]}`],
    ['two forms of a payload', '{"commits":[{"key":"a","version":1,"payload_utf8":"x","payload_base64":"eA=="}]}'],
    ['a key of half a surrogate', '{"commits":[{"key":"\\ud800","version":1,"payload_utf8":"x"}]}'],
    ['a NUL in a comment', '{"commits":[{"key":"a","version":1,"payload_utf8":"x","comment":"\\u0000"}]}'],
    ['a version beyond 32 bits', '{"commits":[{"key":"a","version":4294967297,"payload_utf8":"x"}]}'],
    ['a second one that is wrong', `{"commits":[${one},{"key":"","version":1,"payload_utf8":"x"}]}`],
  ])('%s', async (_what, body) => {
    expect((await post(server.port, '/diary/-/commits', ME, body)).status).toBe(400);
    await nothingStored();
  });

  test('a key called __proto__ is compared as any other', async () => {
    const body = `{"commits":[${one}],"compare":{"__proto__":1}}`;
    expect((await post(server.port, '/diary/-/commits', ME, body)).status).toBe(409);
    await nothingStored();
  });
});

describe('tokens', () => {
  const get401 = async (path: string, headers: Record<string, string>) =>
    (await get(guarded.port, path, headers)).status;

  test.each([
    'Bearer',
    'Bearer ',
    `bearer\t${TOKEN}`,
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN},`,
    `Bearer ${'x'.repeat(8_000)}`,
    'Bearer \xff\xfe',
  ])('%j is refused on every route', async (authorization) => {
    const paths = [
      '/',
      '/app.a',
      '/app.a/1',
      '/app.a/history',
      '/-/changes?after=0',
      '/-/watch',
      '/-/who-am-i',
      '/-/revision',
    ];
    for (const path of paths) expect([path, await get401(path, { Authorization: authorization })]).toEqual([path, 401]);
    const written = await post(guarded.port, '/app.a/1', { ...ME, Authorization: authorization }, 'x');
    expect(written.status).toBe(401);
    expect(written.wire).not.toContain('s3cret');
  });

  test('rights hold on every route that names a key, and in every list', async () => {
    const mine = { Authorization: `Bearer ${TOKEN}` };
    for (const path of ['/k', '/k/1', '/k/meta', '/k/1/meta', '/k/history', '/k/diff']) {
      expect([path, (await get(guarded.port, path, mine)).status]).toEqual([path, 403]);
    }
    for (const path of ['/k/2', '/k/2?dry_run=yes', '/k/rollback?to=1']) {
      expect([path, (await post(guarded.port, path, mine, 'x')).status]).toEqual([path, 403]);
    }
    expect((await get(guarded.port, '/?all=yes', mine)).body.toString()).toBe('{}\r\n');
    expect(JSON.parse((await get(guarded.port, '/-/changes?after=0', mine)).body.toString()).commits).toEqual([]);
    const compared = '{"commits":[{"key":"app.a","version":1,"payload_utf8":"x"}],"compare":{"k":1}}';
    expect((await post(guarded.port, '/-/commits', mine, compared)).status).toBe(403);
    expect((await post(guarded.port, '/-/rollback-prefix?to=0', mine)).status).toBe(403);
    expect((await storage.revision()).toString()).toBe('1');
  });

  test('the author is that of the token, whatever else is said', async () => {
    const headers = {
      ...ME,
      Authorization: `Bearer ${TOKEN}`,
      'X-Hypervault-Author': Buffer.from('eve').toString('base64'),
    };
    expect((await post(guarded.port, '/app.a/1', headers, 'x')).status).toBe(200);
    const body = '{"commits":[{"key":"app.b","version":1,"payload_utf8":"x","author":"eve"}]}';
    expect((await post(guarded.port, '/-/commits', headers, body)).status).toBe(200);
    expect([(await storage.get('app.a'))?.author, (await storage.get('app.b'))?.author]).toEqual(['ann', 'ann']);
  });
});

describe('slow and greedy clients', () => {
  test('headers that never end: 408, and the connection is gone', async () => {
    server.server.headersTimeout = 300;
    onTestFinished(() => {
      server.server.headersTimeout = 10_000;
    });
    const socket = connect(server.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {});
    socket.write('GET /diary/k HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => socket.destroyed || socket.write('X-Drip: 1\r\n'), 50);
    await once(socket, 'close');
    clearInterval(drip);
    expect(text).toContain('408 Request Timeout');
    await nothingStored();
  });

  test('a body announced and not sent, with 100-continue: told to go on, then 408', async () => {
    const head = message('POST /diary/k/2', { ...ME, 'Content-Length': '10', Expect: '100-continue' });
    const answer = await rawRequest(server.port, head);
    expect(answer.wire).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /);
    await nothingStored();
  });

  test('forty watchers that read nothing hold nobody up', async () => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => void warnings.push(message);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {}).pause();
      socket.write(message('GET /diary/-/watch?after=0&payload_base64=yes', { Connection: 'keep-alive' }));
      return socket;
    });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const payload = 'x'.repeat(100_000);
    const started = performance.now();
    for (let version = 2; version <= 20; version++) {
      expect((await post(server.port, '/diary/k', ME, payload)).status).toBe(405);
      expect((await post(server.port, `/diary/k/${version}`, ME, payload)).status).toBe(200);
    }
    expect(performance.now() - started).toBeLessThan(20_000);
    // Then they read after all: each takes what it is owed, and no listener is left behind for each commit.
    for (const socket of sockets) socket.resume();
    await waitFor(() => sockets.every(({ bytesRead }) => bytesRead > 2_000_000), { timeoutMs: 30_000 });
    expect(warnings).toEqual([]);
  });

  test('requests one behind the other on one connection are answered in their order', async () => {
    const first = message('GET /diary/k', { Connection: 'keep-alive' });
    const refused = message('POST /diary/k/1', { ...ME, 'Content-Length': '1', Connection: 'keep-alive' }, 'x');
    const answer = await rawRequest(server.port, first + refused + message('GET /diary/nope'));
    expect(answer.wire.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 409', 'HTTP/1.1 404']);
    await nothingStored();
  });

  test('a revision or a number that is none', async () => {
    for (const path of [
      '/-/changes',
      '/-/changes?after=-1',
      '/-/changes?after=1e3',
      '/-/changes?after=99999999999999999999',
      '/-/changes?after=0&limit=1001',
      '/k/history?limit=x',
      '/k/diff?from=1.5',
      '/-/watch?after=x',
    ]) {
      expect([path, (await get(server.port, `/diary${path}`)).status]).toEqual([path, 400]);
    }
    const resumed = await get(server.port, '/diary/-/watch', { 'Last-Event-ID': '1\x01' });
    expect(resumed.status).toBe(400);
    await waitFor(async () => (await get(server.port, '/diary/')).status === 200);
  });
});
