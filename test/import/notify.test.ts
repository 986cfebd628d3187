import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../src/embedded/index.ts';
import { LogFile } from '../../src/import/log/log-file.ts';
import { hypervault } from '../support/cli.ts';
import { waitFor } from '../support/wait-for.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';

const mariadb = mariadbOfFile();

interface Received {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, never>;
}

/** An HTTP server that keeps what is posted to it. @param failures - how many requests it answers with 503 first */
async function receiver(failures = 0): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  let left = failures;
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      left -= 1;
      if (left >= 0) {
        response.writeHead(503).end();
        return;
      }
      received.push({ path: request.url!, headers: request.headers, body: JSON.parse(text) });
      response.end('{"err":0}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hypervault-import-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('notifiers', () => {
  it('tell Rollbar and a webhook of a table that was set aside, and nobody of their secrets', async () => {
    const [rollbar, hook] = [await receiver(), await receiver(1)];
    const f = await importFixture(mariadb(), {
      source: { value_policy: { date: 'error' } },
      config: {
        rollbar_key: 'rollbar-secret',
        rollbar_env: 'staging',
        rollbar_url: `${rollbar.url}/api/1/item/`,
        webhook_url: `${hook.url}/hooks/webhook-secret`,
        log_level: 'debug',
      },
    });
    await f.source('create table t (id int primary key, d date)');
    await f.init();
    await f.start();
    await f.source("set sql_mode = ''; insert into t values (1, '0000-00-00')");
    await waitFor(() => rollbar.received.length > 0 && hook.received.length > 0, { timeoutMs: 10_000 });
    expect(rollbar.received[0]).toMatchObject({
      path: '/api/1/item/',
      headers: { 'x-rollbar-access-token': 'rollbar-secret', 'content-type': 'application/json' },
      body: {
        data: { environment: 'staging', level: 'error', body: { message: { source: 'shop', table: `${f.schema}.t` } } },
      },
    });
    expect(hook.received[0]).toMatchObject({
      path: '/hooks/webhook-secret',
      body: { level: 'error', source: 'shop', table: `${f.schema}.t`, remedy: expect.stringMatching(/sync-tables/) },
    });
    const shown = JSON.stringify(await f.engine.showConfig());
    expect(shown).toContain('rollbarUrl');
    expect(shown).not.toMatch(/rollbar-secret|webhook-secret/);
  });

  it('reach nobody without a word of the address in the log', async () => {
    const config = { webhook_url: `http://127.0.0.1:${await freePort()}/hooks/webhook-secret` };
    const f = await importFixture(mariadb(), { config });
    await f.source('create table t (id int primary key)');
    await f.init();
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const { ReplicaEngine } = await import('../../src/import/index.ts');
    const engine = new ReplicaEngine({ config: f.config, logger: { debug: log, info: log, warn: log, error: log } });
    await f.server.query('reset master');
    await f.server.query('flush binary logs; purge binary logs before now() + interval 1 day', [], f.schema);
    await expect(engine.startReplica('shop')).rejects.toThrow();
    await engine.close();
    expect(lines.join('\n')).toMatch(/the webhook could not be reached \(ECONNREFUSED\)/);
    expect(lines.join('\n')).not.toContain('webhook-secret');
  });

  it('pass over what is below --rollbar-level', async () => {
    const { atLeast } = await import('../../src/import/notify/notifier.ts');
    const heard: string[] = [];
    const target = atLeast('error', ({ level }) => void heard.push(level));
    for (const level of ['info', 'critical', 'warning', 'error'] as const)
      await target({ level, source: 's', message: '' });
    expect(heard).toEqual(['critical', 'error']);
  });
});

describe('log files', () => {
  it('begin anew each day and go after their time', async () => {
    const path = await folder();
    await writeFile(join(path, 'shop.log.2026-01-01'), 'old');
    await writeFile(join(path, 'other.log.2026-01-01'), 'of somebody else');
    let now = new Date('2026-03-01T23:59:59.500Z');
    const log = new LogFile({ folder: path, name: 'shop', daysKeep: 2, now: () => now });
    log.info('one');
    now = new Date('2026-03-02T00:00:01Z');
    log.warn('two\nlines');
    now = new Date('2026-03-05T00:00:01Z');
    log.error('three');
    log.close();
    expect((await readdir(path)).sort()).toEqual(['other.log.2026-01-01', 'shop.log']);
    expect(await readFile(join(path, 'shop.log'), 'utf8')).toBe('2026-03-05 00:00:01.000 ERROR three\n');
    const kept = await folder();
    now = new Date('2026-03-01T12:00:00Z');
    const second = new LogFile({ folder: kept, name: 'shop', daysKeep: 2, now: () => now });
    second.info('one');
    now = new Date('2026-03-02T00:00:01Z');
    second.warn('two\nlines');
    second.close();
    expect(await readFile(join(kept, 'shop.log.2026-03-01'), 'utf8')).toBe('2026-03-01 12:00:00.000 INFO one\n');
    expect(await readFile(join(kept, 'shop.log'), 'utf8')).toBe('2026-03-02 00:00:01.000 WARNING two\n  lines\n');
  });
});

describe('start-replica --daemon', () => {
  it('runs without a terminal, writes a log, and stops', { timeout: 60_000 }, async () => {
    const path = await folder();
    const f = await importFixture(mariadb(), {
      config: { log_dir: join(path, 'logs'), pid_dir: join(path, 'pids'), log_level: 'debug' },
    });
    await f.source('create table t (id int primary key)');
    const file = join(path, 'default.yml');
    await writeFile(file, JSON.stringify(f.config));
    process.env.NODE_OPTIONS = '--import tsx';
    onTestFinished(() => {
      delete process.env.NODE_OPTIONS;
    });
    const run = (...args: string[]) => hypervault(['import', ...args, '--config', file, '--json']);
    await f.engine.createReplicaSchema();
    await f.engine.addSource('shop');
    const early = await run('start-replica', '--daemon');
    expect(early).toMatchObject({ exitCode: 1 });
    expect(early.stderr).toMatch(/run init-replica first/);
    await f.engine.initReplica('shop');
    const started = await run('start-replica', '--daemon');
    expect(started.exitCode).toBe(0);
    const [{ pid, log, pidFile }] = started.json() as [{ pid: number; log: string; pidFile: string }];
    expect(await readFile(pidFile, 'utf8')).toBe(`${pid}\n`);
    await f.source('insert into t values (1)');
    await f.caughtUp();
    expect(await f.rows(`select id from ${f.schema}.t`)).toEqual([{ id: 1 }]);
    expect((await run('start-replica', '--daemon')).stderr).toMatch(/another process/);
    expect((await run('stop-replica')).json()).toEqual([{ stopped: true }]);
    await waitFor(() => !isAlive(pid), { timeoutMs: 10_000, what: 'the end of the daemon' });
    await expect(readFile(pidFile)).rejects.toThrow(/ENOENT/);
    expect(await readFile(log, 'utf8')).toMatch(/INFO shop: replicating[\s\S]*INFO shop: stopped/);
    expect((await run('start-replica', '--daemon', '--debug')).exitCode).toBe(2);
    expect((await run('start-replica', '--rollbar-level', 'loud')).exitCode).toBe(2);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
