// Histories from elsewhere: a Rainer table in MySQL or Postgres, live and as a dump, and our own export, byte for byte.
import { execFile } from 'node:child_process';
import { createReadStream, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  Commit,
  CommitKeeper,
  exportCommits,
  importCommits,
  KvDatabase,
  MemoryCommitStorage,
  PostgresCommitStorage,
  readCommitFile,
  readRainerTable,
  serveCommits,
  toEnvelope,
  toNdjson,
} from '../../src/kv/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase } from '../support/database.ts';
import { type Mariadb, startMariadb } from '../support/mariadb.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy } from '../support/proxy.ts';
import { findTool } from '../support/tools.ts';
import { rejection } from '../support/wait-for.ts';

const run = promisify(execFile);
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** What a Rainer table may hold, in an order that is not that of the versions. */
const COMMITS: Commit[] = [
  ['limits', 2, '{"max":9}', 'bob', 'more room; "quoted", it\'s\nlines\\n'],
  ['limits', 1, '{"max":5}', 'ann', ''],
  ['limits', 3, null, 'ann', 'gone'],
  ['limits', 4, '', 'ann', 'zero bytes are a payload'],
  ['bytes', 1, everyByte, '', ''],
  [
    'bytes',
    2,
    Buffer.concat([everyByte, Buffer.from("'),('x',1,'"), everyByte]),
    '',
    ');\nINSERT INTO `rainer` VALUES',
  ],
  ['schlüssel/🙂 %2F', 1, 'Ω\r\n\t\\N\0', 'Änn', '"\\x41"'],
  ["o'brien", 1, "\\'; drop table rainer; --", "o'brien", '`'],
  ['\\x41', 1, '\\x41', '\\.', '\\.'],
  ['big', 1, Buffer.alloc(300_000, 'x\n'), 'ann', ''],
].map(
  ([key, version, payload, author, comment], at) =>
    new Commit({
      key: String(key),
      version: Number(version),
      payload: payload === null ? null : Buffer.from(payload as string),
      author: String(author),
      comment: String(comment),
      mtime: new Date(Date.UTC(2014, 1, 11, 22, 1, 28, at * 100 + 7)),
    }),
);

async function target() {
  const { connection } = await freshDatabase();
  const kv = new KvDatabase({ connection });
  const storage = new PostgresCommitStorage({ connection: kv, table: 'diary' });
  onTestFinished(async () => {
    await storage.stop();
    await kv.close();
  });
  await storage.start();
  const all = () => collect(storage);
  return { options: { connection: kv, table: 'diary' }, storage, kv, all, connection };
}

/** Whatever the order between keys is: the same commits, each with everything it had, versions going up. */
function expectSame(found: readonly Commit[], expected: readonly Commit[] = COMMITS) {
  const byName = (a: Commit, b: Commit) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.version - b.version);
  expect([...found].sort(byName).map(String)).toEqual([...expected].sort(byName).map(String));
  for (const commit of expected) {
    const same = found.find(({ key, version }) => key === commit.key && version === commit.version)!;
    expect(same.equals(commit), String(commit)).toBe(true);
  }
  const reached = new Map<string, number>();
  for (const { key, version } of found) {
    expect(version).toBe((reached.get(key) ?? 0) + 1);
    reached.set(key, version);
  }
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kv-transfer-'));
});
afterAll(() => rm(folder, { recursive: true }));

const fileOf = (name: string) => createReadStream(join(folder, name), { highWaterMark: 1_000 });

describe('from MySQL', () => {
  let mysql: Mariadb | undefined;
  const password = () => ({ env: { ...process.env, MYSQL_PWD: mysql!.connection.password }, maxBuffer: 2 ** 26 });
  beforeAll(async () => {
    mysql = await startMariadb({ keep: true });
    if (mysql === undefined) return;
    await mysql.query(`create database config;
      create table config.before_it (id int primary key, text text) default charset utf8mb4;
      insert into config.before_it values (1, "'); INSERT INTO \`rainer\` VALUES ('no',1,'');\n");
      create table config.rainer (name varchar(255) binary not null, version int not null, payload mediumblob not null,
        is_empty tinyint(1), primary key (name, version), key (is_empty)) default charset utf8mb4;
      create table config.old_one (name varchar(255) not null, version int not null, payload mediumblob not null,
        primary key (name, version));`);
    for (const commit of COMMITS) {
      const row = [commit.key, commit.version, toEnvelope(commit), commit.isEmpty];
      await mysql.query('insert into rainer values (?, ?, ?, ?)', row, 'config');
    }
    const first = COMMITS[1]!;
    await mysql.query('insert into old_one values (?, ?, ?)', [first.key, 1, toEnvelope(first)], 'config');
  });
  afterAll(() => mysql?.remove());

  const url = () => {
    const { host, port, user, password } = mysql!.connection;
    return `mysql://${user}:${password}@${host}:${port}/config`;
  };
  const dump = async (name: string, flags: string[]) => {
    const { host, port, user } = mysql!.connection;
    const { stdout } = await run('mysqldump', ['-h', host, '-P', String(port), '-u', user, ...flags, 'config'], {
      ...password(),
      encoding: 'buffer',
    });
    await writeFile(join(folder, name), stdout);
  };

  test.each([
    ['as it comes', []],
    ['blobs in hexadecimal', ['--hex-blob']],
    ['a statement for each row, with its columns', ['--skip-extended-insert', '--complete-insert']],
    ['without any comment', ['--compact']],
    ['only data', ['--no-create-info', '--skip-comments']],
    ['replace', ['--replace']],
  ])('a dump: %s', async (_what, flags) => {
    if (mysql === undefined) return;
    await dump('mysql.sql', flags);
    const { options, all } = await target();
    const counts = await importCommits(readCommitFile(fileOf('mysql.sql')), options);
    expect(counts).toEqual({ read: 10, saved: 10, present: 0 });
    expectSame(await all());
  });

  test('live; again finds all there; what came meanwhile is added', async () => {
    if (mysql === undefined) return;
    const { options, all, storage } = await target();
    expect(await importCommits(readRainerTable({ url: url() }), options)).toEqual({ read: 10, saved: 10, present: 0 });
    expectSame(await all());
    const more = new Commit({ key: 'limits', version: 5, payload: Buffer.from('later'), author: 'ann' });
    await mysql.query('insert into rainer values (?, ?, ?, ?)', ['limits', 5, toEnvelope(more), false], 'config');
    onTestFinished(async () => {
      await mysql?.query('delete from rainer where version = 5', [], 'config');
    });
    expect(await importCommits(readRainerTable({ url: url() }), options)).toEqual({ read: 11, saved: 1, present: 10 });
    expect((await storage.get('limits'))?.equals(more)).toBe(true);
  });

  test('a table without is_empty, by its name; one that is not there; a server that is not there', async () => {
    if (mysql === undefined) return;
    const { options, all } = await target();
    await importCommits(readRainerTable({ url: url(), table: 'old_one' }), options);
    expectSame(await all(), [COMMITS[1]!]);
    const nope = rejection(importCommits(readRainerTable({ url: url(), table: 'nope' }), options));
    expect((await nope).message).toContain('--source-table');
    await dump('mysql.sql', []);
    const unnamed = rejection(importCommits(readCommitFile(fileOf('mysql.sql'), { table: 'nope' }), options));
    expect((await unnamed).message).toContain('only before_it, old_one, rainer');
    const away = 'mysql://root:s3cret-word@127.0.0.1:1/config';
    const error = await rejection(importCommits(readRainerTable({ url: away }), options));
    expect(error).toMatchObject({ code: 'SERVER_UNAVAILABLE', retryable: true });
    expect(error.message).not.toContain('s3cret');
  });

  test('on the command line', async () => {
    if (mysql === undefined) return;
    const { all, connection } = await target();
    const { user, password, host, port, database } = connection;
    const at = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const words = ['kv', 'import', '--from', url(), '--database', at, '--table', 'diary'];
    expect((await hypervault([...words, '--dry-run'])).stdout).toContain('10 would be saved');
    expect(await all()).toEqual([]);
    expect(await hypervault(words)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('10 saved') });
    expectSame(await all());
    await dump('mysql.sql', []);
    const file = ['kv', 'import', join(folder, 'mysql.sql'), '--database', at, '--table', 'diary', '--json'];
    expect((await hypervault(file)).json()).toEqual([{ read: 10, saved: 0, present: 10, dryRun: false }]);
    expect((await hypervault(['kv', 'import', '--database', at])).exitCode).toBe(2);
    expect((await hypervault(['kv', 'import', '/nope', '--database', at])).exitCode).toBe(2);
  });
});

describe('from Postgres', () => {
  const fill = async (query: (text: string, values?: unknown[]) => Promise<unknown>) => {
    await query('create table before_it (id int, text text)');
    await query('insert into before_it values (1, $1)', [
      "');\nINSERT INTO public.rainer VALUES ('no', 1, '');\n\\.\n",
    ]);
    await query(
      'create table rainer (name text, version int, payload bytea, is_empty boolean, primary key (name, version))',
    );
    for (const commit of COMMITS) {
      const row = [commit.key, commit.version, toEnvelope(commit), commit.isEmpty];
      // Postgres keeps no NUL in texts, and Rainer's blob is bytes.
      await query('insert into rainer values ($1, $2, $3, $4)', row);
    }
  };

  test('live', async () => {
    const source = await freshDatabase();
    await fill(source.query);
    const { user, password, host, port, database } = source.connection;
    const { options, all } = await target();
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    await importCommits(readRainerTable({ url, table: 'public.rainer' }), options);
    expectSame(await all());
    expect((await rejection(importCommits(readRainerTable({ url, table: 'nope' }), options))).code).toBe(
      'CONFIGURATION',
    );
  });

  test('dumps: COPY, inserts, inserts with columns', async () => {
    // pg_dump and the server must be of one version: those of the machine, not the embedded ones.
    if (findTool('pgbench') === undefined) return;
    const [newest] = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
    const binaryDirectory = `/usr/lib/postgresql/${newest}/bin`;
    const { servers } = await ownServers({ servers: 1, binaryDirectory });
    const { connection } = servers[0]!;
    const client = new pg.Client(connection as pg.ClientConfig);
    await client.connect();
    await fill((text, values) => client.query(text, values));
    await client.end();
    const { user, password, host, port, database } = connection;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    for (const flags of [
      [],
      ['--inserts'],
      ['--column-inserts', '--rows-per-insert=3'],
      ['--data-only', '--inserts'],
    ]) {
      await run(join(binaryDirectory, 'pg_dump'), [url, ...flags, '-f', join(folder, 'pg.sql')]);
      const { options, all } = await target();
      await importCommits(readCommitFile(fileOf('pg.sql')), options);
      expectSame(await all());
    }
  });
});

describe('our own export', () => {
  async function* of(commits: readonly Commit[]): AsyncGenerator<Commit> {
    yield* commits;
  }
  const inOrder = [...COMMITS].sort((a, b) => a.version - b.version);

  test('lines of JSON, out and in again: the same, in the same order; gzipped, too', async () => {
    const [here, there] = [await target(), await target()];
    await importCommits(of(inOrder), here.options);
    const lines = (await here.all()).map((commit) => toNdjson(commit)).join('');
    await writeFile(join(folder, 'export.ndjson'), lines);
    await writeFile(join(folder, 'export.gz'), gzipSync(lines));
    await importCommits(readCommitFile(fileOf('export.ndjson')), there.options);
    expect((await there.all()).map(String)).toEqual((await here.all()).map(String));
    expectSame(await there.all());
    const again = await importCommits(readCommitFile(fileOf('export.gz')), there.options);
    expect(again).toEqual({ read: 10, saved: 0, present: 10 });
  });

  test('on the command line, from a server and from a database; only what is new; without payloads', async () => {
    const { storage, connection } = await target();
    await importCommits(of(inOrder), { connection, table: 'kv' });
    const at = join(folder, 'hypervault.json');
    const { user, password, host, port, database } = connection;
    const server = { host, port, user, password, database };
    await writeFile(at, JSON.stringify({ servers: { a: server }, shards: { a: '1-2' }, control: { server: 'a' } }));
    const whole = await hypervault(['kv', 'export', '--config', at]);
    expect(whole.json()).toHaveLength(10);
    const audit = await hypervault(['kv', 'export', '--config', at, '--after', '8', '--no-payloads']);
    expect(audit.json()).toEqual([
      { ...inOrder[8]!.meta, revision: '9' },
      { ...inOrder[9]!.meta, revision: '10' },
    ]);
    const file = join(folder, 'out.ndjson');
    const toFile = await hypervault(['kv', 'export', '--config', at, '--prefix', 'big', '-o', file]);
    expect(toFile).toMatchObject({ exitCode: 0, stdout: '' });
    expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(1);
    const memory = new MemoryCommitStorage();
    for (const commit of inOrder) await memory.save(commit);
    const served = await serveCommits({ storage: memory, port: 0 });
    onTestFinished(() => served.close());
    const remote = await hypervault(['kv', 'export', '--url', served.url]);
    expect(remote.stdout).toBe(whole.stdout);
    const piped = ['kv', 'import', '-', '--config', at, '--table', 'diary'];
    expect((await hypervault(piped, { stdin: whole.stdout })).stdout).toContain('10 saved');
    expectSame(await collect(storage));
  });

  test('a compacted history goes out as far as it is there, and in again with gaps allowed', async () => {
    const [here, there] = [await target(), await target()];
    await importCommits(of(inOrder), here.options);
    await here.storage.compact(10n);
    const left = await here.all();
    expect(left.map(({ key, version }) => `${key} ${version}`)).toContain('limits 4');
    expect(left).toHaveLength(6);
    const error = await rejection(importCommits(of(left), there.options));
    expect(error.message).toMatch(/lacks .*versions? 1.* of (limits|bytes)/);
    await importCommits(of(left), { ...there.options, allowGaps: true });
    expect((await there.all()).map(String).sort()).toEqual(left.map(String).sort());
    const next = { key: 'limits', version: 5, payload: Buffer.from('on') };
    expect((await there.storage.save(next)).version).toBe(5);
    // And what was compacted here is no difference to what comes.
    expect(await importCommits(of(inOrder), here.options)).toEqual({ read: 10, saved: 0, present: 10 });
  });

  test('a version that is there with other content stops it, and nothing of its batch is written', async () => {
    const { options, storage } = await target();
    await storage.save({ key: 'limits', version: 1, payload: Buffer.from('other'), author: 'ann' });
    const error = await rejection(importCommits(of(inOrder), options));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('version 1 of limits') });
    expect((await storage.heads()).size).toBe(1);
  });

  test('a mirror follows it, and other writers go on', async () => {
    const { options, storage, kv } = await target();
    const mirror = await new CommitKeeper({ connection: kv, table: 'diary' }).mirror();
    onTestFinished(() => mirror.close());
    await importCommits(of(inOrder), options);
    const saved = await storage.save({ key: 'limits', version: 5, payload: Buffer.from('on') });
    expect(saved.revision).toBe(11n);
    await mirror.reached(11n);
    expect([...mirror.current.keys()].sort()).toEqual([...new Set(COMMITS.map(({ key }) => key))].sort());
  });

  test('the link is cut again and again: everything once', async () => {
    const { options, all, connection } = await target();
    const proxy = await startProxy(connection);
    const many = Array.from(
      { length: 3_000 },
      (_, at) => new Commit({ key: `k${at % 100}`, version: Math.floor(at / 100) + 1, payload: Buffer.from(`${at}`) }),
    );
    let batches = 0;
    const counts = await importCommits(of(many), {
      ...options,
      connection: { ...connection, port: proxy.port },
      onProgress: () => {
        batches += 1;
        setImmediate(() => proxy.cut());
      },
    });
    expect([batches, counts.read]).toEqual([6, 3_000]);
    expectSame(await all(), many);
  });

  test('stopped by its signal, it goes on where it was', async () => {
    const { options, all } = await target();
    const many = Array.from(
      { length: 1_200 },
      (_, at) => new Commit({ key: 'k', version: at + 1, payload: everyByte }),
    );
    const stop = new AbortController();
    const stopped = importCommits(of(many), { ...options, signal: stop.signal, onProgress: () => stop.abort() });
    expect((await rejection(stopped)).code).toBe('ABORTED');
    expect(await all()).toHaveLength(500);
    expect(await importCommits(of(many), options)).toEqual({ read: 1_200, saved: 700, present: 500 });
    expectSame(await all(), many);
  });

  test.each([
    ['no JSON', '{"key"\n', /^line 1: /],
    [
      'a line without payload',
      '{"key":"a","version":1,"payload_utf8":"x"}\n{"key":"a","version":2}\n',
      /^line 2: a: give one/,
    ],
    ['a version in quotes', '{"key":"a","version":"1","payload_utf8":"x"}\n', /"version" must be a JSON number/],
    [
      'a row that is no envelope',
      "INSERT INTO `rainer` VALUES ('a',1,'x',0);\n",
      /row "a", version 1.*no commit envelope/,
    ],
    ['a row of another key', rowOf('b'), /row "b", version 1 holds version 1 of "limits"/],
    ['half an INSERT', "INSERT INTO `rainer` VALUES ('a',1,'x\n", /ends in the middle/],
    ['an INSERT that is none', "INSERT INTO `rainer` VALUES ('a' 1);\n", /can't be read near/],
    ['something else', 'hello\n', /no table "rainer", no table at all/],
    [
      'a broken gzip',
      gzipSync('{"key":"a","version":1,"payload_utf8":"x"}\n').subarray(0, 30),
      /unexpected end|incorrect/,
    ],
  ])('refused: %s', async (_what, text, message) => {
    const { options, all } = await target();
    async function* chunks() {
      yield Buffer.from(text);
    }
    expect((await rejection(importCommits(readCommitFile(chunks()), options))).message).toMatch(message);
    expect(await all()).toEqual([]);
  });

  test('nothing is an empty import', async () => {
    const { options } = await target();
    async function* nothing() {}
    expect(await importCommits(readCommitFile(nothing()), options)).toEqual({ read: 0, saved: 0, present: 0 });
  });
});

async function collect(storage: PostgresCommitStorage): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const commit of exportCommits(storage)) commits.push(commit);
  return commits;
}

function rowOf(name: string): string {
  return `INSERT INTO \`rainer\` VALUES ('${name}',1,0x${toEnvelope(COMMITS[1]!).toString('hex')},0);\n`;
}
