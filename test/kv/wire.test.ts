import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Commit,
  CommitOrderingError,
  createCommitServer,
  jsonCodec,
  MemoryCommitStorage,
  withPreSaveHook,
} from '../../src/kv/index.ts';
import { get, message, post, rawRequest, serveOnLoopback, type TestServer } from './support/raw-http.ts';

const storage = new MemoryCommitStorage();
const mirrored = new Map<string, Commit<unknown>>();
let plain: TestServer;
let cached: TestServer;
let json: TestServer;

beforeAll(async () => {
  plain = await serveOnLoopback(createCommitServer({ storage, basePath: '/diary' }), '/diary');
  cached = await serveOnLoopback(createCommitServer({ storage, mirror: { current: mirrored }, basePath: '/diary' }));
  const checked = withPreSaveHook(new MemoryCommitStorage({ codec: jsonCodec() }), (commit) => {
    if (commit.comment === 'bug') throw new TypeError('a secret of the program');
    if (commit.comment === 'bad') throw new Error('the hook says no');
  });
  json = await serveOnLoopback(createCommitServer({ storage: checked }));
});
afterAll(() => Promise.all([plain.close(), cached.close(), json.close()]));

const mtime = new Date('2014-02-11T22:01:28.839Z');
const save = (key: string, version: number, payload: Buffer | null, more: object = {}) =>
  storage.save({ key, version, payload, author: 'ann', comment: 'first', mtime, ...more });

beforeEach(async () => {
  await storage.stop();
  mirrored.clear();
});

describe('reading', () => {
  test('GET /KEY answers the bytes as they are, with the six headers in their exact case', async () => {
    await save('foo', 1, Buffer.from('{"hey":"what"}'));
    const answer = await get(plain.port, '/diary/foo');
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe('{"hey":"what"}');
    expect(answer.header('Content-Length')).toBe('14');
    expect(answer.header('Content-Type')).toBe('text/plain; charset=UTF-8');
    expect(answer.headers.filter(([name]) => name.toLowerCase().startsWith('x-'))).toEqual([
      ['X-Rainer-Key', 'foo'],
      ['X-Rainer-Version', '1'],
      ['X-Rainer-Author', 'ann'],
      ['X-Rainer-Comment', 'first'],
      ['X-Rainer-Modified-Time', '2014-02-11T22:01:28.839Z'],
      ['X-Rainer-Empty', 'No'],
    ]);
  });

  test('bytes that are no UTF-8 are an octet-stream; zero bytes are text', async () => {
    await save('bin', 1, Buffer.from([0xff, 0x00, 0x0a]));
    await save('zero', 1, Buffer.alloc(0));
    const bin = await get(plain.port, '/diary/bin');
    expect(bin.header('Content-Type')).toBe('application/octet-stream');
    expect([...bin.body]).toEqual([0xff, 0x00, 0x0a]);
    const zero = await get(plain.port, '/diary/zero');
    expect([zero.header('Content-Type'), zero.header('X-Rainer-Empty'), zero.body.length]).toEqual([
      'text/plain; charset=UTF-8',
      'No',
      0,
    ]);
  });

  test('a tombstone is an empty 200, and an empty comment is still sent', async () => {
    await save('gone', 1, null, { comment: '' });
    const answer = await get(plain.port, '/diary/gone');
    expect([answer.status, answer.body.length, answer.header('X-Rainer-Empty')]).toEqual([200, 0, 'Yes']);
    expect(answer.header('X-Rainer-Comment')).toBe('');
  });

  test('versions and metas', async () => {
    await save('foo', 1, Buffer.from('one'));
    await save('foo', 2, Buffer.from('two'));
    expect((await get(plain.port, '/diary/foo/1')).body.toString()).toBe('one');
    expect((await get(plain.port, '/diary/foo/002')).body.toString()).toBe('two');
    const meta = await get(plain.port, '/diary/foo/1/meta');
    expect(meta.header('Content-Type')).toBe('application/json');
    expect(meta.body.toString()).toBe(
      '{"key":"foo","version":1,"author":"ann","comment":"first","mtime":"2014-02-11T22:01:28.839Z","empty":false}\r\n',
    );
    expect((await get(plain.port, '/diary/foo/meta')).body.toString()).toContain('"version":2');
  });

  test.each(['/diary/nope', '/diary/nope/meta', '/diary/foo/9', '/diary/foo/0', '/diary/foo/-1', '/diary/foo/9/meta'])(
    '%s is a bare 404',
    async (path) => {
      await save('foo', 1, Buffer.from('one'));
      const answer = await get(plain.port, path);
      expect([answer.status, answer.body.toString()]).toEqual([404, 'Key not found']);
      expect(answer.header('Content-Type')).toContain('text/plain');
    },
  );

  test('a key called meta is an ordinary key', async () => {
    await save('meta', 1, Buffer.from('m'));
    expect((await get(plain.port, '/diary/meta')).body.toString()).toBe('m');
    expect((await get(plain.port, '/diary/meta/1')).body.toString()).toBe('m');
    expect((await get(plain.port, '/diary/meta/meta')).body.toString()).toContain('"key":"meta"');
  });

  test.each(['abc', '1.0', '2147483648', '-2147483649', '1e3', '%31x', '99999999999999999999999'])(
    'version %s is no 32-bit integer: 400',
    async (version) => {
      expect((await get(plain.port, `/diary/foo/${version}`)).status).toBe(400);
      expect((await get(plain.port, `/diary/foo/${version}/meta`)).status).toBe(400);
      expect((await post(plain.port, `/diary/foo/${version}`, { 'X-Rainer-Author': 'a' })).status).toBe(400);
    },
  );

  test('HEAD answers the headers of GET without its body', async () => {
    await save('foo', 1, Buffer.from('payload'));
    for (const path of ['/diary/foo', '/diary/foo/1', '/diary/foo/meta', '/diary', '/diary/nope']) {
      const head = await rawRequest(plain.port, message(`HEAD ${path}`));
      const full = await get(plain.port, path);
      expect(head.body.length).toBe(0);
      expect(head.status).toBe(full.status);
      const steady = ({ headers }: typeof head) => headers.filter(([name]) => name !== 'Date');
      expect(steady(head)).toEqual(steady(full));
    }
  });
});

describe('listing', () => {
  test('an empty storage is {} and CR LF, with and without the slash', async () => {
    for (const path of ['/diary', '/diary/', '/diary?', '/diary/?all=yes']) {
      const answer = await get(plain.port, path);
      expect([answer.status, answer.header('Content-Type'), answer.body.toString()]).toEqual([
        200,
        'application/json',
        '{}\r\n',
      ]);
    }
  });

  test('sorted by key; tombstones and payloads only when asked for', async () => {
    for (const key of ['b', 'a', '10', '9', '__proto__']) await save(key, 1, Buffer.from('é'));
    await save('b', 2, null);
    const text = (await get(plain.port, '/diary')).body.toString();
    expect([...text.matchAll(/"key":"([^"]+)"/g)].map(([, key]) => key)).toEqual(['10', '9', '__proto__', 'a']);
    expect(text).toMatch(/^\{"10":\{"key":"10","version":1,.*\}\}\r\n$/);
    const all = (await get(plain.port, '/diary?all=YES&payload_utf8=1&payload_base64=True')).body.toString();
    expect(all).toContain('"empty":false,"payload_utf8":"é","payload_base64":"w6k="}');
    expect(all).toContain(
      '"b":{"key":"b","version":2,"author":"ann","comment":"first","mtime":"2014-02-11T22:01:28.839Z","empty":true}',
    );
  });

  test.each(['all', 'payload_utf8', 'payload_base64'])('%s must be a boolean', async (name) => {
    for (const value of ['', 'y', 'maybe', '2']) {
      const answer = await get(plain.port, `/diary?${name}=${value}`);
      expect([answer.status, answer.body.toString()]).toEqual([400, `Invalid '${name}' parameter (should be boolean)`]);
    }
    expect((await get(plain.port, `/diary?${name}=No`)).status).toBe(200);
  });
});

describe('saving', () => {
  test('answers the meta of the new commit; the time is the server clock', async () => {
    const before = Date.now();
    const answer = await post(plain.port, '/diary/foo/1', { 'X-Rainer-Author': 'me' }, '{"a":1}');
    expect([answer.status, answer.header('Content-Type')]).toEqual([200, 'application/json']);
    const meta = JSON.parse(answer.body.toString());
    expect(answer.body.toString().endsWith('}\r\n')).toBe(true);
    expect(meta).toMatchObject({ key: 'foo', version: 1, author: 'me', comment: '', empty: false });
    expect(Date.parse(meta.mtime)).toBeGreaterThanOrEqual(before);
    expect((await storage.get('foo'))?.payload?.toString()).toBe('{"a":1}');
  });

  test('takes all six headers, an offset in the time, and an empty author', async () => {
    const answer = await post(plain.port, '/diary/foo/1', {
      'X-Rainer-Key': 'foo',
      'X-Rainer-Version': '1',
      'X-Rainer-Author': '',
      'X-Rainer-Comment': 'c',
      'X-Rainer-Empty': 'Yes',
      'X-Rainer-Modified-Time': '2014-02-11T14:01:28.839-08:00',
    });
    expect(answer.body.toString()).toBe(
      '{"key":"foo","version":1,"author":"","comment":"c","mtime":"2014-02-11T22:01:28.839Z","empty":true}\r\n',
    );
  });

  test('a conflict is a 409 that says which version would do', async () => {
    await save('foo', 1, Buffer.from('one'));
    for (const version of [1, 3, 0, -1]) {
      const answer = await post(plain.port, `/diary/foo/${version}`, { 'X-Rainer-Author': 'me' }, 'x');
      expect([answer.status, answer.header('Content-Type')]).toEqual([409, 'application/json']);
      expect(answer.body.toString()).toBe(
        `{"conflict":{"key":"foo","expectedVersion":2,"providedVersion":${version}}}\r\n`,
      );
    }
  });

  // Each request commits all later mistakes as well: what is checked first is answered.
  const mistakes = [
    ['X-Rainer-Key must match URL key, or be omitted', { 'X-Rainer-Key': 'bar' }],
    ['X-Rainer-Version must match URL version, or be omitted', { 'X-Rainer-Version': '04' }],
    ['Missing header: X-Rainer-Author', {}],
    ['Malformed header: X-Rainer-Empty', { 'X-Rainer-Author': 'me', 'X-Rainer-Empty': 'perhaps' }],
    ['Malformed header: X-Rainer-Modified-Time', { 'X-Rainer-Empty': 'yes', 'X-Rainer-Modified-Time': 'yesterday' }],
    ['Empty payload required with X-Rainer-Empty', { 'X-Rainer-Modified-Time': '2014-02-11' }],
    [/^Malformed input: SyntaxError: /, { 'X-Rainer-Empty': 'no' }],
  ] as const;
  test.each(mistakes.map(([body], index) => [index, body] as const))('check %i: %s', async (index, body) => {
    const headers: Record<string, string> = {};
    for (const [, mistake] of [...mistakes].reverse().slice(0, mistakes.length - index))
      Object.assign(headers, mistake);
    if (index > 2) for (const [, made] of mistakes.slice(3, index + 1)) Object.assign(headers, made);
    if (index < 3) delete (headers as Record<string, unknown>)['X-Rainer-Author'];
    const answer = await post(json.port, '/foo/4', headers, '{"broken');
    expect(answer.status).toBe(400);
    if (typeof body === 'string') expect(answer.body.toString()).toBe(body);
    else expect(answer.body.toString()).toMatch(body);
    expect(answer.header('Content-Type')).toContain('text/plain');
  });

  test('a bad payload beats a conflict; a good one meets it', async () => {
    expect((await post(json.port, '/k/7', { 'X-Rainer-Author': 'me' }, 'nope')).status).toBe(400);
    expect((await post(json.port, '/k/7', { 'X-Rainer-Author': 'me' }, '{}')).status).toBe(409);
    expect((await post(json.port, '/k/1', { 'X-Rainer-Author': 'me' }, '')).status).toBe(400);
  });

  test("a hook's message is the body of a 400; a bug in it is a 500 that tells nothing", async () => {
    const bad = await post(json.port, '/k/1', { 'X-Rainer-Author': 'me', 'X-Rainer-Comment': 'bad' }, '{}');
    expect([bad.status, bad.body.toString()]).toEqual([400, 'the hook says no']);
    const bug = await post(json.port, '/k/1', { 'X-Rainer-Author': 'me', 'X-Rainer-Comment': 'bug' }, '{}');
    expect([bug.status, bug.body.toString()]).toEqual([500, 'Internal error']);
  });

  test('the bytes are taken whatever the content type says, chunked or not', async () => {
    const form = { 'X-Rainer-Author': 'me', 'Content-Type': 'application/x-www-form-urlencoded' };
    expect((await post(plain.port, '/diary/form/1', form, 'a=b&c=d')).status).toBe(200);
    expect((await storage.get('form'))?.payload?.toString()).toBe('a=b&c=d');
    const chunked = message('POST /diary/chunked/1', { 'X-Rainer-Author': 'me', 'Transfer-Encoding': 'chunked' });
    expect((await rawRequest(plain.port, `${chunked}3\r\nabc\r\n2\r\n\r\n\r\n0\r\n\r\n`)).status).toBe(200);
    expect((await storage.get('chunked'))?.payload?.toString()).toBe('abc\r\n');
  });

  test('eight writers race for one version: one wins, the others get 409', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => post(plain.port, '/diary/race/1', { 'X-Rainer-Author': `w${n}` }, `${n}`)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409, 409, 409]);
  });
});

describe('text in headers', () => {
  test('UTF-8 bytes and latin-1 bytes are both read; UTF-8 is sent', async () => {
    const utf8 = Buffer.from('Zoë 名').toString('latin1');
    await post(plain.port, '/diary/u/1', { 'X-Rainer-Author': utf8 });
    await post(plain.port, '/diary/l/1', { 'X-Rainer-Author': 'Zo\xeb' });
    expect((await storage.get('u'))?.author).toBe('Zoë 名');
    expect((await storage.get('l'))?.author).toBe('Zoë');
    expect((await get(plain.port, '/diary/u')).header('X-Rainer-Author')).toBe(utf8);
    expect((await get(plain.port, '/diary/l')).header('X-Rainer-Author')).toBe(Buffer.from('Zoë').toString('latin1'));
  });

  test('line ends in a comment are spaces on the wire and begin no header', async () => {
    await save('inject', 1, Buffer.from('x'), { comment: 'one\r\nSet-Cookie: a=b\r\n\r\n<p>' });
    const answer = await get(plain.port, '/diary/inject');
    expect(answer.status).toBe(200);
    expect(answer.header('Set-Cookie')).toBeUndefined();
    expect(answer.header('X-Rainer-Comment')).toBe('one  Set-Cookie: a=b    <p>');
    expect(answer.body.toString()).toBe('x');
    expect((await get(plain.port, '/diary/inject/meta')).body.toString()).toContain('one\\r\\nSet-Cookie');
  });

  test('the longest texts still fit a client that takes 16 KiB of headers', async () => {
    const long = { key: `${'ä'.repeat(250)}\n`, author: `${'ü'.repeat(250)}\n`, comment: 'ß\n'.repeat(2730) };
    await storage.save({ ...long, version: 1, payload: Buffer.from('x') });
    const answer = await get(plain.port, `/diary/${encodeURIComponent(long.key)}`);
    expect(answer.status).toBe(200);
    expect(answer.wire.indexOf('\r\n\r\n')).toBeLessThan(16_384);
  });
});

describe('paths', () => {
  test('absolute-form targets, as the JVM client sends them', async () => {
    await save('foo', 1, Buffer.from('x'));
    for (const target of ['http://elsewhere:99/diary/foo', 'HTTP://h/diary/foo?x=1', 'https://h/diary/foo/1']) {
      expect((await get(plain.port, target)).body.toString()).toBe('x');
    }
    expect((await get(plain.port, 'http://h')).status).toBe(404);
    expect((await get(json.port, 'http://h')).status).toBe(200);
  });

  test('escaped / ? # ; belong to the key; a raw ; cuts', async () => {
    await save('a/b?c#d;e', 1, Buffer.from('odd'));
    await save('foo', 1, Buffer.from('x'));
    expect((await get(plain.port, '/diary/a%2Fb%3fc%23d%3Be')).body.toString()).toBe('odd');
    expect((await get(plain.port, '/diary/foo;jsessionid=1')).body.toString()).toBe('x');
    expect((await get(plain.port, '/diary/foo;x/9/meta')).body.toString()).toBe('x');
    expect((await get(plain.port, '/diary;x/foo')).body.toString()).toContain('"foo":{');
  });

  test.each([
    ['/diary/foo/', 404],
    ['/diary/foo/1/', 404],
    ['/diary//foo', 404],
    ['/diary/foo/1/2', 404],
    ['/diary/foo/1/meta/x', 404],
    ['/diaryfoo', 404],
    ['/', 404],
    ['*', 404],
    ['/diary/../foo', 400],
    ['/diary/..', 400],
    ['/diary/%2e%2e', 400],
    ['/diary/.', 400],
    ['/diary/%', 400],
    ['/diary/%zz', 400],
    ['/diary/%ff', 400],
    ['/diary/a%00b', 400],
    ['/diary/..%2F..%2Fetc%2Fpasswd', 404],
    ['/diary/\\..\\x', 404],
  ])('GET %s is %i', async (path, status) => {
    await save('foo', 1, Buffer.from('x'));
    expect((await get(plain.port, path)).status).toBe(status);
    const posted = await post(plain.port, path, { 'X-Rainer-Author': 'me' }, 'x');
    expect(posted.status).toBeGreaterThanOrEqual(400);
    expect(posted.status).toBeLessThan(500);
    expect([...(await storage.heads()).keys()]).toEqual(['foo']);
  });

  test.each([
    ['PUT', '/diary', 'GET, HEAD'],
    ['POST', '/diary/', 'GET, HEAD'],
    ['DELETE', '/diary/foo', 'GET, HEAD'],
    ['POST', '/diary/foo', 'GET, HEAD'],
    ['PUT', '/diary/foo/1', 'GET, HEAD, POST'],
    ['OPTIONS', '/diary/foo/1', 'GET, HEAD, POST'],
    ['POST', '/diary/foo/meta', 'GET, HEAD'],
    ['PATCH', '/diary/foo/1/meta', 'GET, HEAD'],
  ])('%s %s is a 405 with Allow', async (method, path, allow) => {
    const answer = await rawRequest(plain.port, message(`${method} ${path}`));
    expect([answer.status, answer.header('Allow')]).toEqual([405, allow]);
  });
});

describe('served from a mirror', () => {
  test('newest versions come from the mirror and say so; versions from the storage', async () => {
    await save('foo', 1, Buffer.from('stored'));
    mirrored.set('foo', new Commit({ key: 'foo', version: 7, payload: Buffer.from('mirrored'), mtime }));
    for (const path of ['/diary/foo', '/diary/foo/meta', '/diary', '/diary?all=yes']) {
      const answer = await get(cached.port, path);
      expect([answer.status, answer.header('X-Rainer-Cached')]).toEqual([200, 'Yes']);
      expect(answer.wire).toMatch(/version"?: ?7/i);
    }
    const version = await get(cached.port, '/diary/foo/1');
    expect([version.body.toString(), version.header('X-Rainer-Cached')]).toEqual(['stored', undefined]);
    expect((await get(cached.port, '/diary/foo/9')).header('X-Rainer-Cached')).toBeUndefined();
  });

  test('its 400 and 404 carry the header too; a removed key is a 404', async () => {
    await save('gone', 1, null);
    const missing = await get(cached.port, '/diary/gone');
    expect([missing.status, missing.header('X-Rainer-Cached'), missing.body.toString()]).toEqual([
      404,
      'Yes',
      'Key not found',
    ]);
    const bad = await get(cached.port, '/diary?all=x');
    expect([bad.status, bad.header('X-Rainer-Cached')]).toEqual([400, 'Yes']);
  });

  test('saves go to the storage', async () => {
    expect((await post(cached.port, '/diary/new/1', { 'X-Rainer-Author': 'me' }, 'x')).status).toBe(200);
    expect((await storage.get('new'))?.version).toBe(1);
  });
});

test('keep-alive: several requests on one connection, refused ones among them', async () => {
  await save('foo', 1, Buffer.from('x'));
  const keep = (line: string, body = '') =>
    message(line, { Connection: 'keep-alive', 'Content-Length': String(body.length) }, body);
  const answer = await rawRequest(
    plain.port,
    [
      keep('GET /diary/foo'),
      keep('POST /diary/foo/9', 'abc'),
      keep('GET /diary/foo/'),
      message('GET /diary/foo/1'),
    ].join(''),
  );
  expect([...answer.wire.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
    '200',
    '400',
    '404',
    '200',
  ]);
});

test('a storage that fails is a 500 that tells nothing, and the server stays up', async () => {
  const broken = new MemoryCommitStorage();
  broken.get = () => Promise.reject(new Error('password=hunter2'));
  const warned: object[] = [];
  const logger = { debug() {}, warn: (fields: object) => void warned.push(fields) };
  const server = await serveOnLoopback(createCommitServer({ storage: broken, logger }));
  const answer = await get(server.port, '/foo');
  expect([answer.status, answer.body.toString()]).toEqual([500, 'Internal error']);
  expect(warned).toHaveLength(1);
  expect((await get(server.port, '/')).status).toBe(200);
  await server.close();
});

test('the error of a conflict reads as Rainer worded it', () => {
  expect(new CommitOrderingError('foo', 2, 1).message).toBe(
    'Concurrent modification: foo: requested version (1) was not next available version (2)',
  );
});
