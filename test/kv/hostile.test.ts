// Clients that mean harm or are broken: clear answers, nothing stored, and the server goes on serving.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MemoryCommitStorage, type RunningCommitServer, serveCommits } from '../../src/kv/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, message, post, rawRequest } from './support/raw-http.ts';

const storage = new MemoryCommitStorage();
let server: RunningCommitServer;
beforeAll(async () => {
  server = await serveCommits({ storage, port: 0, maxPayloadBytes: 1_000, bodyTimeoutMs: 300, maxConnections: 50 });
});
afterAll(() => server.close());
beforeEach(() => storage.stop());

const ME = { 'X-Rainer-Author': 'me' };
const stillServing = async () => {
  expect((await get(server.port, '/')).status).toBe(200);
  expect((await storage.heads()).size).toBe(0);
};

async function open(): Promise<{ socket: Socket; text(): string; closed: Promise<unknown> }> {
  const socket = connect(server.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  return { socket, text: () => Buffer.concat(chunks).toString(), closed };
}

describe('bodies', () => {
  test('at the bound it is taken, over it 413', async () => {
    expect((await post(server.port, '/k/1', ME, 'x'.repeat(1_000))).status).toBe(200);
    await storage.stop();
    const over = await post(server.port, '/k/1', ME, 'x'.repeat(1_001));
    expect([over.status, over.body.toString()]).toEqual([413, 'The body may have at most 1000 bytes']);
    const chunked = message('POST /k/1', { ...ME, 'Transfer-Encoding': 'chunked' });
    expect((await rawRequest(server.port, `${chunked}fff\r\n${'x'.repeat(4095)}\r\n0\r\n\r\n`)).status).toBe(413);
    await stillServing();
  });

  test('one that claims to be endless is answered before it ends', async () => {
    const { socket, text, closed } = await open();
    socket.write(
      message('POST /k/1', { ...ME, 'Content-Length': '99999999999', Connection: 'keep-alive' }, 'x'.repeat(5_000)),
    );
    await waitFor(() => text().includes('413'), { timeoutMs: 3_000 });
    await closed;
    await stillServing();
  });

  test('one that keeps coming is cut', async () => {
    const { socket, text, closed } = await open();
    socket.write(message('POST /k/1', { ...ME, 'Transfer-Encoding': 'chunked', Connection: 'keep-alive' }));
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    let sent = 0;
    const pour = (): void => {
      while (!socket.destroyed && sent < 64 * 1024 * 1024) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', pour);
      }
    };
    pour();
    await closed;
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(text()).toMatch(/^HTTP\/1\.1 413|^$/);
    await stillServing();
  });

  test('one that comes too slowly is a 408', async () => {
    const { socket, text, closed } = await open();
    socket.write(message('POST /k/1', { ...ME, 'Content-Length': '100', Connection: 'keep-alive' }, 'x'));
    const drip = setInterval(() => socket.destroyed || socket.write('x'), 50);
    await closed;
    clearInterval(drip);
    expect(text()).toContain('HTTP/1.1 408');
    await stillServing();
  });

  test('one that ends too early is not stored', async () => {
    const { socket, closed } = await open();
    socket.write(message('POST /k/1', { ...ME, 'Content-Length': '100', Connection: 'keep-alive' }, 'half'));
    await waitFor(() => socket.bytesWritten > 50);
    socket.resetAndDestroy();
    await closed;
    await stillServing();
  });

  test('two lengths, or a length and chunks, are refused', async () => {
    const both = message('POST /k/1', { ...ME, 'Content-Length': '3', 'Transfer-Encoding': 'chunked' });
    expect((await rawRequest(server.port, `${both}0\r\n\r\n`)).status).toBe(400);
    const twice = message('POST /k/1', { ...ME, 'Content-Length': '3', 'content-length': '4' }, 'abcd');
    expect((await rawRequest(server.port, twice)).status).toBe(400);
    await stillServing();
  });
});

describe('headers', () => {
  test.each([
    ['more than 16 KiB of them', 'X-Rainer-Comment', 'x'.repeat(20_000), 431],
    ['a comment over the bound', 'X-Rainer-Comment', 'x'.repeat(9_000), 400],
    ['an author over the bound', 'X-Rainer-Author', 'x'.repeat(600), 400],
    ['a NUL', 'X-Rainer-Comment', 'a\0b', 400],
    ['a bare CR', 'X-Rainer-Comment', 'a\rX-Rainer-Empty: yes', 400],
    ['an exact comment with NUL', 'X-Hypervault-Comment', Buffer.from('a\0').toString('base64'), 400],
    ['a time that is none', 'X-Rainer-Modified-Time', '2014-02-30', 400],
    ['a time out of all range', 'X-Rainer-Modified-Time', '0000-01-01', 400],
    ['a key header with another key', 'X-Hypervault-Key', Buffer.from('other').toString('base64'), 400],
  ])('%s', async (_what, name, value, status) => {
    expect((await post(server.port, '/k/1', { ...ME, [name]: value }, 'x')).status).toBe(status);
    await stillServing();
  });

  test('a line end in an exact comment stays in the comment', async () => {
    const comment = 'a\r\nSet-Cookie: x=1\r\n\r\nbody';
    const headers = { ...ME, 'X-Hypervault-Comment': Buffer.from(comment).toString('base64') };
    expect((await post(server.port, '/k/1', headers, 'x')).status).toBe(200);
    expect((await storage.get('k'))?.comment).toBe(comment);
    for (const path of ['/k', '/k/1', '/k/meta', '/k/history', '/']) {
      const answer = await get(server.port, path);
      expect(answer.header('Set-Cookie')).toBeUndefined();
      expect(answer.status).toBe(200);
    }
  });
});

describe('keys and paths', () => {
  test.each([
    ['a key over the bound', `/${'k'.repeat(513)}/1`, 400],
    ['a key of broken UTF-8', '/%c3%28/1', 400],
    ['an overlong encoding of /', '/%c0%af/1', 400],
    ['half a surrogate', '/%ed%a0%80/1', 400],
    ['NUL', '/a%00/1', 400],
    ['..', '/../1', 400],
    ['.. escaped', '/%2e%2E/1', 400],
    ['a path of 20 KiB', `/${'k/'.repeat(10_000)}1`, 431],
    ['an empty name', '//1', 404],
    ['a backslash walk', '/..\\..\\x', 405],
    ['a semicolon before the version', '/k;/1', 405],
    ['a fragment', '/k#/1', 405],
  ])('%s', async (_what, path, status) => {
    expect((await post(server.port, path, ME, 'x')).status).toBe(status);
    await stillServing();
  });

  test('odd keys that are allowed come back as they went in', async () => {
    const keys = [
      '..%2F..%2Fetc',
      '%2e%2e%2fx',
      '%5C..',
      '%0d%0aX-A:%201',
      '%3Cscript%3E',
      '__proto__',
      'constructor',
      '%F0%9F%99%82',
      'a%20b',
      "'%22--",
    ];
    for (const key of keys) {
      expect([key, (await post(server.port, `/${key}/1`, ME, 'x')).status]).toEqual([key, 200]);
      const answer = await get(server.port, `/${key}`);
      expect([key, answer.status, answer.header('X-A')]).toEqual([key, 200, undefined]);
    }
    const listed = JSON.parse((await get(server.port, '/')).body.toString());
    expect(Object.keys(listed).sort()).toEqual(keys.map(decodeURIComponent).sort());
  });
});

describe('connections', () => {
  test('garbage, and half a request', async () => {
    expect((await rawRequest(server.port, 'nonsense\r\n\r\n')).status).toBe(400);
    expect((await rawRequest(server.port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc')).status).toBe(400);
    expect((await rawRequest(server.port, 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n')).wire).not.toContain(' 200 ');
    await stillServing();
  });

  test('HTTP/1.0 without Host, as old clients speak', async () => {
    const answer = await rawRequest(server.port, 'GET / HTTP/1.0\r\n\r\n');
    expect([answer.status, answer.header('Connection'), answer.body.toString()]).toEqual([200, 'close', '{}\r\n']);
  });

  test('more connections than allowed are closed; after that others are served', async () => {
    const sockets = await Promise.all(Array.from({ length: 60 }, async () => (await open()).socket));
    await waitFor(() => sockets.filter(({ destroyed }) => destroyed).length >= 10);
    for (const socket of sockets) socket.destroy();
    await waitFor(async () => (await get(server.port, '/')).status === 200);
  });

  test('an answer nobody reads holds no more than its own bytes, and closing does not wait for it', async () => {
    const big = await serveCommits({ storage: new MemoryCommitStorage(), port: 0 });
    await post(big.port, '/k/1', ME, 'x'.repeat(4 * 1024 * 1024));
    const socket = connect(big.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(message('GET /k', { Connection: 'keep-alive' }));
    await waitFor(() => big.server.listening);
    const started = performance.now();
    await big.close();
    expect(performance.now() - started).toBeLessThan(8_000);
    socket.destroy();
  });
});
