// A client that is not ours: Python's urllib, driven as pyrainer drives it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  MemoryCommitStorage,
  PostgresCommitStorage,
  type RunningCommitServer,
  serveCommits,
} from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { findTool } from '../support/tools.ts';

const python = findTool('python3');

describe.skipIf(python === undefined).each(['memory', 'postgres'])('pyrainer over %s', (kind) => {
  let server: RunningCommitServer;
  let ask: (...command: unknown[]) => Promise<Record<string, unknown>>;
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    const storage = kind === 'memory' ? new MemoryCommitStorage() : await onPostgres();
    server = await serveCommits({ storage, port: 0, basePath: '/diary' });
    ends.push(() => server.close());
    const child = spawn(python!, [`${import.meta.dirname}/support/rainer-client.py`, server.url], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    ends.push(() => new Promise((resolve) => child.once('exit', resolve).stdin.end()));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    ask = async (...command) => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      return JSON.parse((await lines.next()).value);
    };
  });
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  });

  async function onPostgres(): Promise<PostgresCommitStorage> {
    const database = await freshDatabase({ keep: true });
    const storage = new PostgresCommitStorage({ connection: database.connection, table: 'diary' });
    await storage.start();
    ends.push(
      () => database.drop(),
      () => storage.stop(),
    );
    return storage;
  }

  const meta = (version: number, more: object = {}) => ({
    key: 'foo',
    version,
    author: 'guido',
    comment: 'hi',
    ...more,
  });

  test('the whole life of a key', async () => {
    expect(await ask('list', false)).toEqual({ result: {} });
    const posted = await ask('post_commit', meta(1), '{"a":1}\n\xff');
    expect(posted.result).toMatchObject({
      ...meta(1),
      empty: false,
      mtime: expect.stringMatching(/^\d{4}-.*T.*\.\d{3}Z$/),
    });
    expect(await ask('get_commit', 'foo')).toMatchObject({ result: [meta(1), '{"a":1}\n\xff'] });
    await ask('post_commit', meta(2, { comment: '' }), '');
    expect(await ask('get_commit', 'foo')).toMatchObject({ result: [{ version: 2, comment: '', empty: false }, ''] });
    expect(await ask('get_commit', 'foo', 1)).toMatchObject({ result: [meta(1), '{"a":1}\n\xff'] });
    expect(await ask('list_full')).toEqual({ result: { foo: '' } });
    await ask('post_commit', meta(3, { empty: true }), '');
    expect(await ask('get_commit', 'foo')).toMatchObject({ result: [{ version: 3, empty: true }, null] });
    expect(await ask('list', false)).toEqual({ result: {} });
    expect(await ask('list', true)).toMatchObject({ result: { foo: { version: 3, empty: true } } });
  });

  test('its errors', async () => {
    expect(await ask('get_commit', 'nope')).toEqual({ status: 404, reason: 'Not Found', body: 'Key not found' });
    expect(await ask('post_commit', meta(9), 'x')).toEqual({
      status: 409,
      reason: 'Conflict',
      body: '{"conflict":{"key":"foo","expectedVersion":4,"providedVersion":9}}\r\n',
    });
    expect(await ask('post_commit', meta(4, { empty: true }), 'x')).toMatchObject({
      status: 400,
      body: 'Empty payload required with X-Rainer-Empty',
    });
  });

  test('headers as Python 3 sends them, in latin-1', async () => {
    const posted = await ask('post_commit', { key: 'latin', version: 1, author: 'Zoë', comment: 'café' }, 'x');
    expect(posted.result).toMatchObject({ author: 'Zoë', comment: 'café' });
  });
});
