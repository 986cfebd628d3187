import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startEmbedded } from '../../src/embedded/index.ts';
import { ConfigurationError } from '../../src/errors.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function query(connection: pg.ClientConfig, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('several servers, each with its own data, with hstore and passwords that are checked', async () => {
  const { servers, connections } = await ownServers({ servers: 2 });
  expect(new Set(connections.map(({ port }) => port)).size).toBe(2);
  for (const connection of connections) {
    await query(connection as pg.ClientConfig, 'create extension hstore');
    expect(await query(connection as pg.ClientConfig, `select 'a=>1'::hstore -> 'a' as a`)).toEqual([{ a: '1' }]);
  }
  const wrong = await rejection(query({ ...servers[0]!.connection, password: 'wrong' }, 'select 1'));
  expect(wrong.code).toBe('28P01');
});

test('what was committed survives SIGKILL and a new start on the same port', async () => {
  const { servers } = await ownServers();
  const [server] = servers;
  await query(server!.connection, 'create table kept (a int); insert into kept values (1)');
  const { port, pid } = server!;
  await server!.kill();
  expect(alive(pid!)).toBe(false);
  expect((await rejection(query(server!.connection, 'select 1'))).code).toBe('ECONNREFUSED');
  await server!.start();
  expect(server!.port).toBe(port);
  expect(await query(server!.connection, 'select a from kept')).toEqual([{ a: 1 }]);
});

test('a kept folder starts again with its data; a temporary one is removed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kept-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const first = await startEmbedded({ directory });
  await query(first.servers[0]!.connection, 'create table kept (a int); insert into kept values (7)');
  await first.stop();
  const second = await startEmbedded({ directory, settings: { max_connections: 33 } });
  onTestFinished(() => second.stop());
  expect(await query(second.servers[0]!.connection, 'select a from kept')).toEqual([{ a: 7 }]);
  expect(await query(second.servers[0]!.connection, 'show max_connections')).toEqual([{ max_connections: '33' }]);
  const temporary = await startEmbedded();
  const root = dirname(dirname(temporary.servers[0]!.dataDirectory));
  expect(existsSync(root)).toBe(true);
  await temporary.stop();
  expect(existsSync(root)).toBe(false);
});

test('a standby follows, refuses writes, and can be promoted', async () => {
  const embedded = await ownServers();
  const primary = embedded.servers[0]!;
  await query(primary.connection, 'create table t (a int)');
  const standby = await embedded.makeStandby(primary);
  await query(primary.connection, 'insert into t values (1)');
  await waitFor(async () => (await query(standby.connection, 'select * from t')).length === 1);
  expect((await rejection(query(standby.connection, 'insert into t values (2)'))).code).toBe('25006');
  await standby.promote();
  await query(standby.connection, 'insert into t values (2)');
  expect(await query(standby.connection, 'select count(*)::int as n from t')).toEqual([{ n: 2 }]);
});

test.each(['SIGTERM', 'SIGKILL'] as const)('servers end when their process ends by %s', async (signal) => {
  const program = `
    import { startEmbedded } from ${JSON.stringify(fileURLToPath(new URL('../../src/embedded/index.ts', import.meta.url)))};
    const { servers } = await startEmbedded();
    console.log(servers[0].pid, servers[0].dataDirectory);
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (chunk) => resolve(String(chunk))));
  const [pid, data] = line.trim().split(' ') as [string, string];
  expect(alive(Number(pid))).toBe(true);
  child.kill(signal);
  await waitFor(() => !alive(Number(pid)), { what: 'the end of the server' });
  await waitFor(() => !existsSync(data), { what: 'the removal of its data' });
});

test('wrong options are refused before anything starts', async () => {
  await expect(startEmbedded({ server: 2 } as never)).rejects.toThrow(/unknown key "server"; did you mean "servers"\?/);
  await expect(startEmbedded({ servers: 0 })).rejects.toBeInstanceOf(ConfigurationError);
  await expect(startEmbedded({ settings: { 'a b': 1 } })).rejects.toBeInstanceOf(ConfigurationError);
  const broken = await rejection(startEmbedded({ settings: { shared_buffers: 'nonsense' } }));
  expect(broken.message).toMatch(/shared_buffers/); // the server's own words, from its log
});
