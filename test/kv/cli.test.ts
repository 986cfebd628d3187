import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MemoryCommitStorage, type RunningCommitServer, serveCommits } from '../../src/kv/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';

const storage = new MemoryCommitStorage();
const LOGIN = userInfo().username;
let server: RunningCommitServer;
let scratch: string;

beforeAll(async () => {
  server = await serveCommits({ storage, port: 0, basePath: '/diary' });
  scratch = await mkdtemp(join(tmpdir(), 'kv-cli-'));
});
afterAll(async () => {
  await server.close();
  await rm(scratch, { recursive: true });
});
beforeEach(() => storage.stop());

const kv = (args: string[], stdin = '', environment: Record<string, string> = {}) =>
  hypervault(['kv', '--url', server.url, ...args], {
    stdin,
    environment: { PATH: process.env.PATH!, TMPDIR: scratch, ...environment },
  });
const save = (key: string, version: number, payload: string | null, comment = '') =>
  storage.save({
    key,
    version,
    payload: payload === null ? null : Buffer.from(payload),
    author: 'ann',
    comment,
    mtime: new Date('2020-01-02T03:04:05.006Z'),
  });
const payloadOf = async (key: string) => (await storage.get(key))?.payload?.toString();
/** An editor that runs a shell command on the file, here `$f`. */
const editor = (script: string) => ({ EDITOR: `sh -c 'f="$1"; ${script}' editor` });

describe('list, show, prepare', () => {
  test('list: key, version and address, by key; -A shows removed ones', async () => {
    await save('b', 1, 'x');
    await save('a', 1, 'x');
    await save('gone', 1, null);
    expect((await kv(['list'])).stdout).toBe(`a\t1\t${server.url}/a/1\nb\t1\t${server.url}/b/1\n`);
    expect((await kv(['list', '-A'])).stdout).toContain(`gone\t1\t${server.url}/gone/1\n`);
    expect((await kv(['list', '--all', '--prefix', 'g'])).stdout).toBe(`gone\t1\t${server.url}/gone/1\n`);
    expect((await kv(['list', '--json'])).json()).toMatchObject([{ key: 'a', version: 1, empty: false }, { key: 'b' }]);
  });

  test('show: the payload; a line end is added only where there is none; nothing for a removed key', async () => {
    await save('a', 1, 'no line end');
    await save('a', 2, 'with one\n');
    await save('a', 3, null);
    expect(await kv(['show', 'a', '1'])).toMatchObject({ exitCode: 0, stdout: 'no line end\n' });
    expect(await kv(['show', 'a', '2'])).toMatchObject({ exitCode: 0, stdout: 'with one\n' });
    expect(await kv(['show', 'a'])).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('prepare: header, dashes, payload', async () => {
    await save('a', 1, '{"x":1}');
    expect((await kv(['prepare', 'a'])).stdout).toBe(`author: ${LOGIN}\ncomment: ''\nversion: 2\n---\n{"x":1}\n`);
  });

  test('what is not there: the answer on standard output, and 1', async () => {
    for (const command of ['show', 'prepare', 'log', 'uncommit', 'history', 'diff']) {
      const { exitCode, stdout, stderr } = await kv([command, 'nope']);
      expect({ command, exitCode, stdout, stderr }).toEqual({
        command,
        exitCode: 1,
        stdout: 'HTTP Error 404: Not Found\nKey not found\n',
        stderr: '',
      });
    }
  });
});

describe('commit, commit-value', () => {
  test('commit: what prepare made, with the key of the command line', async () => {
    await save('a', 1, 'one');
    const prepared = (await kv(['prepare', 'a'])).stdout
      .replace("comment: ''", 'comment: better')
      .replace('one', 'two');
    const { exitCode, stdout } = await kv(['commit', 'a'], prepared);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ key: 'a', version: 2, author: LOGIN, comment: 'better' });
    expect(await payloadOf('a')).toBe('two\n');
  });

  test('a payload with dashes of its own is kept whole', async () => {
    await kv(['commit', 'a'], 'version: 1\nauthor: x\ncomment: |-\n  two\n  lines\n---\none\n---\ntwo\n');
    expect(await payloadOf('a')).toBe('one\n---\ntwo\n');
    expect((await storage.get('a'))?.comment).toBe('two\nlines');
  });

  test.each([
    ['no dashes', 'version: 1\n'],
    ['no header', '\n---\nx'],
    ['no YAML', 'a: b: c\n---\nx'],
    ['a version that is none', 'version: one\n---\nx'],
    ['a payload on a tombstone', 'version: 1\nempty: true\n---\nx'],
  ])('%s: refused with a sentence', async (_what, text) => {
    const { exitCode, stderr } = await kv(['commit', 'a'], text);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^hypervault: the prepared commit can't be read: /);
    expect((await storage.heads()).size).toBe(0);
  });

  test('commit-value: standard input is the payload, version 1 unless said', async () => {
    expect((await kv(['commit-value', 'a', '-m', 'first'], '{"x":1}\n')).exitCode).toBe(0);
    expect((await kv(['commit-value', 'a', '2', '--message', 'second', '--author', 'bob'], 'y')).exitCode).toBe(0);
    const head = await storage.get('a');
    expect([head?.version, head?.payload?.toString(), head?.comment, head?.author]).toEqual([2, 'y', 'second', 'bob']);
    expect((await storage.get('a', 1))?.author).toBe(LOGIN);
    const conflict = await kv(['commit-value', 'a', '-m', 'again'], 'z');
    expect(conflict).toMatchObject({
      exitCode: 1,
      stdout: 'HTTP Error 409: Conflict\n{"conflict":{"key":"a","expectedVersion":3,"providedVersion":1}}\n',
    });
    expect((await kv(['commit-value', 'b'], 'x')).exitCode).toBe(2);
  });
});

describe('edit, uncommit', () => {
  test('edit: shows the change, asks until yes or no, saves, and leaves no file', async () => {
    await save('a', 1, 'one\n');
    const { exitCode, stdout } = await kv(['edit', 'a'], 'maybe\nyes\n', editor('sed -i s/one/two/ "$f"'));
    expect(exitCode).toBe(0);
    expect(stdout).toContain('--- a (current)\n+++ a (new)\n@@ -1 +1 @@\n-one\n+two\n');
    expect(stdout).toContain(`Commit to ${server.url}/a (yes/no)? Please type 'yes' or 'no': {"key":"a","version":2`);
    expect(await payloadOf('a')).toBe('two\n');
    expect(await readdir(scratch)).toEqual([]);
  });

  test('edit: no, and no change: nothing is saved, and the work is kept', async () => {
    await save('a', 1, 'one\n');
    const no = await kv(['edit', 'a'], 'no\n', editor('sed -i s/one/two/ "$f"'));
    expect(no.exitCode).toBe(0);
    const [, file] = /OK, not commiting\.\nYour work is saved in: (.*\.yaml)\n$/.exec(no.stdout) ?? [];
    expect(await readFile(file!, 'utf8')).toContain('---\ntwo\n');
    const same = await kv(['edit', 'a'], '', editor('sed -i "s/comment: .*/comment: x/" "$f"'));
    expect(same.stdout).toMatch(/^No change, not commiting\.\nYour work is saved in: /);
    expect((await storage.get('a'))?.version).toBe(1);
  });

  test('edit: a key that is missing begins at version 1', async () => {
    const { exitCode } = await kv(['edit', 'new'], 'yes\n', editor('echo x: 1 >> "$f"'));
    expect(exitCode).toBe(0);
    expect(await storage.get('new')).toMatchObject({ version: 1, author: LOGIN });
    expect(await payloadOf('new')).toBe('x: 1\n');
  });

  test('edit: an editor that fails, one that spoils the header, somebody who was faster: the work is kept', async () => {
    await save('a', 1, 'one\n');
    for (const [script, answer, complaint] of [
      ['exit 3', '', /exited with code 3/],
      ['echo spoilt > "$f"', '', /no line "---"/],
      ['sed -i s/one/two/ "$f"', '', /ended without an answer/],
    ] as const) {
      const { exitCode, stdout, stderr } = await kv(['edit', 'a'], answer, editor(script));
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(/An error was encountered\. Your work is saved in: .*\.yaml\n$/);
      expect(stderr).toMatch(complaint);
    }
    const late = await kv(['edit', 'a', '1'], 'yes\n', {
      ...editor(`sed -i s/one/two/ "$f"; curl -s -X POST -H "X-Rainer-Author: x" -d faster ${server.url}/a/2`),
    });
    expect(late.exitCode).toBe(1);
    expect(late.stdout).toMatch(/Your work is saved in.*\nHTTP Error 409: Conflict\n/s);
    expect(await payloadOf('a')).toBe('faster');
  });

  test('uncommit: a tombstone after yes, or with -y without a word', async () => {
    await save('a', 1, 'one\n');
    const { stdout } = await kv(['uncommit', 'a'], 'yes\n');
    expect(stdout).toContain('-one\n');
    expect(JSON.parse(stdout.split('? ')[1]!)).toMatchObject({ version: 2, empty: true });
    await save('a', 3, 'back');
    expect(await kv(['uncommit', 'a', '-y'])).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect((await storage.get('a'))?.isEmpty).toBe(true);
    expect((await kv(['uncommit', 'a'])).stdout).toBe('No change, not commiting.\n');
    expect((await kv(['uncommit', 'a', '1', '-y'])).exitCode).toBe(1);
  });
});

describe('log, history, diff, rollback', () => {
  beforeEach(async () => {
    await save('a', 1, 'x: 1\n', 'begin');
    await save('a', 2, 'x: 2\n', 'two\nlines');
    await save('a', 3, null);
  });

  test('log: newest first, each with what it changed', async () => {
    const { stdout } = await kv(['log', 'a']);
    const header = (version: number) => `commit ${version}\nAuthor: ann\nDate:   2020-01-02T03:04:05.006Z\n\n`;
    expect(stdout).toBe(
      `${header(3)}--- a 2\n+++ a 3\n@@ -1 +0,0 @@\n-x: 2\n\n\n` +
        `${header(2)}  two\n  lines\n\n--- a 1\n+++ a 2\n@@ -1 +1 @@\n-x: 1\n+x: 2\n\n\n` +
        `${header(1)}  begin\n\n--- a 0\n+++ a 1\n@@ -0,0 +1 @@\n+x: 1\n\n\n`,
    );
    expect((await kv(['log', 'a', '1'])).stdout).toBe(stdout.slice(stdout.indexOf('commit 1')));
    expect((await kv(['log', 'a', '--json'])).json()).toMatchObject([
      { version: 3, empty: true },
      { diff: expect.stringContaining('+x: 2') },
      { version: 1 },
    ]);
  });

  test('history: a table, or lines of JSON', async () => {
    const { stdout } = await kv(['history', 'a', '--limit', '2']);
    expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/)[0])).toEqual(['version', '3', '2', '']);
    expect(stdout).toContain('removed');
    expect((await kv(['history', 'a', '--json', '--before', '3'])).json()).toMatchObject([
      { version: 2, bytes: 5 },
      { version: 1, bytes: 5 },
    ]);
  });

  test('diff: what the newest changed, or between two', async () => {
    expect((await kv(['diff', 'a'])).stdout).toBe('--- a 2\n+++ a 3\n@@ -1 +0,0 @@\n-x: 2\n');
    expect((await kv(['diff', 'a', '1', '2'])).stdout).toBe('--- a 1\n+++ a 2\n@@ -1 +1 @@\n-x: 1\n+x: 2\n');
    expect((await kv(['diff', 'a', '2', '2'])).stdout).toBe('');
    expect((await kv(['diff', 'a', '9'])).exitCode).toBe(1);
  });

  test('rollback: says which version comes back', async () => {
    const asked = await kv(['rollback', 'a', '1'], 'no\n');
    expect(asked.stdout).toBe(
      '--- a (current)\n+++ a 1\n@@ -0,0 +1 @@\n+x: 1\nCommit this (yes/no)? OK, not commiting.\n',
    );
    expect(await kv(['rollback', 'a', '1', '-y', '-m', 'oops'])).toMatchObject({
      exitCode: 0,
      stdout: 'a: version 1 is back in place of 3, as version 4\n',
    });
    expect(await storage.get('a')).toMatchObject({ version: 4, author: LOGIN, comment: 'oops' });
    expect((await kv(['rollback', 'a', '1', '-y'])).stdout).toBe('No change, not commiting.\n');
    const prefix = await kv(['rollback', '--prefix', 'a', '--to-revision', '2', '--json', '-y']);
    expect(prefix.json()).toEqual([{ key: 'a', from: 4, to: 2, version: 5 }]);
    expect(await payloadOf('a')).toBe('x: 2\n');
    for (const wrong of [['a'], [], ['--prefix', 'a'], ['a', '1', '--prefix', 'a'], ['a', 'x']]) {
      expect((await kv(['rollback', ...wrong, '-y'])).exitCode).toBe(2);
    }
  });
});

test('watch: a line for each commit, from a revision on', async () => {
  await save('a', 1, 'x', 'one\nline');
  const running = kv(['watch', '--after', '0', '--count', '3']);
  await save('b', 1, null);
  await save('a', 2, 'y');
  expect((await running).stdout).toBe('1\ta\t1\tann\tone line\n2\tb\t1 (removed)\tann\t\n3\ta\t2\tann\t\n');
  const json = (await kv(['watch', '--after', '0', '--count', '2', '--prefix', 'a', '--json', '--payload'])).json();
  expect(json).toMatchObject([
    { revision: '1', key: 'a', payload_base64: 'eA==' },
    { revision: '3', version: 2 },
  ]);
  expect((await kv(['watch', '--after', '99', '--count', '1'])).exitCode).toBe(1);
});

test('where the keys are: --url on either side, the variable, the configuration', async () => {
  await save('a', 1, 'x');
  const environment = { HYPERVAULT_KV_URL: `${server.url}/` };
  expect((await hypervault(['kv', 'show', 'a'], { environment })).stdout).toBe('x\n');
  expect((await hypervault(['kv', 'show', 'a', '--url', server.url])).stdout).toBe('x\n');
  const nowhere = await hypervault(['kv', 'show', 'a']);
  expect(nowhere).toMatchObject({ exitCode: 2 });
  expect(nowhere.stderr).toMatch(/where are the keys\? Say --url URL/);
  const away = await hypervault(['kv', 'list', '--url', 'http://127.0.0.1:1/diary']);
  expect(away).toMatchObject({ exitCode: 1, stderr: '' });
  expect(away.stdout).toMatch(/^ERROR: no answer from 127\.0\.0\.1:1: .*ECONNREFUSED/);
  expect((await hypervault(['kv', 'list', '--url', 'ftp://x'])).exitCode).toBe(2);

  const { connection } = await freshDatabase();
  const file = join(scratch, 'hypervault.yaml');
  const { host, port, user, password, database } = connection;
  const control = { server: 'one', database };
  await writeFile(file, JSON.stringify({ servers: { one: { host, port, user, password, database } }, control }));
  onTestFinished(() => rm(file));
  const direct = (args: string[], stdin = '') => hypervault(['kv', ...args, '--config', file], { stdin });
  expect((await direct(['commit-value', 'k', '-m', 'x'], 'in the database')).exitCode).toBe(0);
  expect((await direct(['show', 'k'])).stdout).toBe('in the database\n');
  expect((await direct(['list'])).stdout).toBe('k\t1\tkv/k/1\n');
  const conflict = await direct(['commit-value', 'k', '-m', 'x'], 'again');
  expect(conflict).toMatchObject({ exitCode: 1, stdout: '' });
  expect(conflict.stderr).toMatch(/Concurrent modification: k/);
  const missing = await direct(['show', 'nothing']);
  expect(missing).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(/there is no such key/) });
});

describe('serve', () => {
  async function serving(args: string[], environment: Record<string, string> = {}) {
    const stop = new AbortController();
    const { PassThrough } = await import('node:stream');
    const { run } = await import('../../src/cli/run.ts');
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const ended = run(['kv', 'serve', '--listen', '127.0.0.1:0', ...args], {
      stdin,
      stdout,
      stderr,
      environment,
      signal: stop.signal,
    } as never);
    let printed = '';
    stdout.on('data', (chunk) => {
      printed += chunk;
    });
    const early = ended.then((code) => ({ code, error: String(stderr.read() ?? '') }));
    let over = false;
    void early.then(() => (over = true));
    const url = await waitFor<Promise<unknown> | string | undefined>(
      () => /serving (\S+)/.exec(printed)?.[1] ?? (over ? early : undefined),
    );
    const close = async () => {
      stop.abort();
      return ended;
    };
    onTestFinished(() => void stop.abort());
    return {
      url: typeof url === 'string' ? url : '',
      failed: typeof url === 'string' ? undefined : await early,
      close,
    };
  }

  test('in memory, under a base path, payloads checked; ends with its signal', async () => {
    const { url, close } = await serving(['--memory', '--base', '/diary/', '--payload', 'json-object']);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/diary$/);
    expect((await hypervault(['kv', 'commit-value', 'a', '-m', 'x', '--url', url], { stdin: '{}' })).exitCode).toBe(0);
    expect((await hypervault(['kv', 'commit-value', 'b', '-m', 'x', '--url', url], { stdin: '[]' })).stdout).toMatch(
      /^HTTP Error 400: Bad Request\nMalformed input: .*no object/,
    );
    expect(await close()).toBe(0);
  });

  test('from a database, cached, with tokens', async () => {
    const { connection, query } = await freshDatabase();
    const { user, password, port, database } = connection;
    const tokens = join(scratch, 'tokens.yaml');
    await writeFile(tokens, 'tokens:\n  - { token: a-token-of-the-test, author: tess, read: [""], write: ["a"] }\n');
    onTestFinished(() => rm(tokens));
    const at = `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;
    const { url, close } = await serving(['--database', at, '--table', 'diary', '--cached', '--tokens', tokens]);
    const environment = { HYPERVAULT_KV_URL: url, HYPERVAULT_KV_TOKEN: 'a-token-of-the-test' };
    expect((await hypervault(['kv', 'list'], { environment: { HYPERVAULT_KV_URL: url } })).stdout).toMatch(/401/);
    const saved = await hypervault(['kv', 'commit-value', 'a', '-m', 'x'], { stdin: 'x', environment });
    expect(JSON.parse(saved.stdout).author).toBe('tess');
    expect((await query('select namespace from hypervault.kv_commits')).rows).toEqual([{ namespace: 'diary' }]);
    expect((await hypervault(['kv', 'commit-value', 'b', '-m', 'x'], { stdin: 'x', environment })).stdout).toMatch(
      /403/,
    );
    await waitFor(async () => {
      const answer = await fetch(`${url}/a`, { headers: { Authorization: 'Bearer a-token-of-the-test' } });
      return answer.status === 200 && answer.headers.get('x-rainer-cached') === 'Yes';
    });
    expect(await close()).toBe(0);
  });

  test.each([
    [[], /where are the keys kept/],
    [['--memory', '--listen', '8080'], /is not HOST:PORT/],
    [['--memory', '--listen', 'x:99999'], /is not HOST:PORT/],
    [['--memory', '--payload', 'xml'], /none of any, json, json-object/],
    [['--memory', '--cached'], /takes neither/],
    [['--memory', '--tls-cert', '/nope'], /go together/],
    [['--memory', '--tokens', '/nope'], /--tokens: ENOENT/],
    [['--memory', '--base', 'diary'], /basePath/],
    [['--memory', '--max-payload', '0'], /--max-payload/],
  ])('%j is wrong use', async (args, message) => {
    const { failed } = await serving(args);
    expect(failed?.code).toBe(2);
    expect(failed?.error).toMatch(message);
  });
});
