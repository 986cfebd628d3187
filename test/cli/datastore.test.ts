import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Datastore } from '../../src/index.ts';
import { type CliResult, hypervault } from '../support/cli.ts';
import { freshDatabases, type TestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';

const run = promisify(execFile);

let folder: string;
let databases: readonly TestDatabase[];
let config: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypervault-cli-'));
  databases = await freshDatabases({ keep: true });
  const [a, b] = databases.map(({ connection }) => connection);
  config = join(folder, 'hypervault.json');
  await writeFile(
    config,
    JSON.stringify({ servers: { a, b }, shards: { a: '1-9', b: '9-17' }, control: 'a', listen: {} }),
  );
});
afterAll(async () => {
  await Promise.all(databases.map((database) => database.drop()));
  await rm(folder, { recursive: true });
});

function withConfig(args: readonly string[], stdin = ''): Promise<CliResult> {
  return hypervault(args, { environment: { HYPERVAULT_CONFIG: config }, stdin });
}

describe('hypervault with servers', () => {
  it('status says what is not installed yet, and ends with 1', async () => {
    const { exitCode, json } = await withConfig(['status', '--json']);
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject([{ name: 'a', up: true, problem: { code: 'SCHEMA' } }, { name: 'b' }]);
  });

  it('init makes all shards, and does nothing the second time', async () => {
    const first = await withConfig(['init', '--json']);
    expect({ exitCode: first.exitCode, stderr: first.stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(first.json()).toMatchObject([
      {
        servers: [{ name: 'a', shards: 8, changed: 8 }, { name: 'b' }],
        slots: 16,
        firstShard: 1,
        controlChanged: true,
      },
    ]);
    const second = await hypervault(['init', '--config', config]);
    expect(second.stdout).toMatch(/^server +shards +changed\na +8 +0\nb +8 +0\nrouting: 16 slots from shard 1\n/);
    expect(second.stdout).toMatch(/control database: was up to date/);
    expect(second.stderr).toMatch(/shards: 16 of 16/);
  });

  it('status shows servers as a table', async () => {
    const { exitCode, stdout, stderr } = await withConfig(['status']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^server +address +role +version/);
    expect(stdout).toMatch(/^b +127\.0\.0\.1:\d+\/\S+ +primary +18\.\d+ +9-17 +8 +[\d.]+ MB +\d+ of \d+ .* ok$/m);
  });

  it('put and get go through the shards', async () => {
    const put = await withConfig(['put', '12', '1', 'beep=boop', 'a=b=c', 'empty=', '--json']);
    expect(put.exitCode).toBe(0);
    const [{ key, shardId }] = put.json() as [{ key: string; shardId: number }];
    expect(shardId).toBe(12);
    const got = await withConfig(['get', key, '--json']);
    const body = { beep: 'boop', a: 'b=c', empty: '' };
    expect(got.json()).toEqual([{ key, kind: 1, body, updated: expect.stringMatching(/Z$/) }]);
    expect((await withConfig(['get', key])).stdout).toMatch(/^\d+ {2}kind 1 {2}updated \S+Z\n {2}/);
  });

  it('put takes JSON, one object or a line for each; get reads ids from standard input', async () => {
    const one = await withConfig(['put', '3', '-7', '{"beep":"boop","none":null}']);
    expect(one.stdout).toMatch(/^\d+\n$/);
    const lines = Array.from({ length: 1_100 }, (_, n) => JSON.stringify({ n: String(n) })).join('\n');
    const many = await withConfig(['put', '3', '2'], lines);
    expect(many.stdout.trim().split('\n')).toHaveLength(1_100);
    const got = (await withConfig(['get', '--json'], one.stdout + many.stdout)).json();
    expect(got[0]).toMatchObject({ kind: -7, body: { beep: 'boop', none: null } });
    expect(got.slice(1).map((entity) => (entity as { body: { n: string } }).body.n)).toEqual(
      Array.from({ length: 1_100 }, (_, n) => String(n)),
    );
  });

  it('get says what is not there, and ends with 1', async () => {
    const there = (await withConfig(['put', '1', '1', 'a=b'])).stdout.trim();
    const { exitCode, stdout, stderr } = await withConfig(['get', String(3 << 10), there]);
    expect(exitCode).toBe(1);
    expect(stdout).toContain(there);
    expect(stderr).toBe('hypervault: there is no entity 3072\n');
  });

  it.each([
    [['get', 'x'], 2, /not a decimal number/],
    [['get', String(8191 << 10)], 2, /no server holds shard 8191; shards known: 1-17/],
    [['put', '77', '1', 'a=b'], 2, /no server holds shard 77/],
    [['put', '1', '40000', 'a=b'], 2, /kind: "40000"/],
    [['put', '1', '1', 'a'], 2, /"a" is not field=value/],
    [['put', '1', '1', 'a=b', 'a=c'], 2, /"a" is given twice/],
    [['put', '1', '1', '{"a":1}'], 2, /the field "a" is neither a text nor null/],
    [['put', '1', '1', '{"a"'], 2, /body: .*JSON/],
    [['put', '1'], 2, /missing required argument 'kind'/],
    [['status', '--config', '/nowhere.yaml'], 2, /can't be read/],
  ])('refuses %j', async (args, code, message) => {
    const { exitCode, stdout, stderr } = await withConfig(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('asks for a configuration when there is none', async () => {
    const { exitCode, stderr } = await hypervault(['status']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/--config FILE, set HYPERVAULT_CONFIG, or work beside a hypervault.yaml/);
  });

  it('keeps passwords to itself when a server is down or refuses', async () => {
    const wrong = join(folder, 'wrong.json');
    const server = { ...databases[0]!.connection, password: 'hunter2' };
    await writeFile(
      wrong,
      JSON.stringify({ servers: { a: server, b: { ...server, port: 1 } }, shards: { a: '1-9', b: '9-17' } }),
    );
    for (const args of [['status'], ['init'], ['put', '1', '1', 'a=b']]) {
      const { exitCode, stdout, stderr } = await hypervault([...args, '--config', wrong]);
      expect(exitCode).toBe(1);
      expect(stdout + stderr).not.toContain('hunter2');
    }
  });
});

describe('hypervault dev', () => {
  it('starts servers, prints their settings, and ends with Ctrl-C', { timeout: 90_000 }, async () => {
    const file = join(folder, 'hypervault.yaml');
    const args = ['--import', 'tsx', 'src/cli/main.ts', 'dev', '--shards', '4', '--write', file];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await waitFor(() => stderr.includes('Ctrl-C'), { timeoutMs: 60_000, what: 'dev' });
    expect(parse(stdout)).toEqual(parse(await readFile(file, 'utf8')));
    const db = (await hypervault(['put', '4', '1', 'beep=boop', '--config', file])).stdout.trim();
    expect((await hypervault(['get', db, '--config', file])).stdout).toContain('beep = boop');
    // A command that works beside the file needs not be told of it, and has all modules.
    const main = ['--import', import.meta.resolve('tsx'), join(process.cwd(), 'src/cli/main.ts')];
    const beside = await run(process.execPath, [...main, 'streams', 'publish', 'orders-7', 'Paid', '{"total":5}'], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    expect(beside.stdout).toBe('orders-7 0\n');
    child.kill('SIGINT');
    expect(await closed).toBe(0);
    const { servers } = parse(stdout) as {
      servers: { server1: { port: number; host: string; user: string; password: string } };
    };
    const datastore = new Datastore([{ ...servers.server1, shards: '1-3' }], { poolBlockTimeoutMs: 500 });
    await expect(datastore.put(1, 1, {})).rejects.toMatchObject({ code: expect.stringMatching(/TIMEOUT|UNAVAILABLE/) });
    await datastore.disconnect();
  });
});
