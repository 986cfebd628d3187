import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { type Embedded, type EmbeddedOptions, type EmbeddedServer, startEmbedded } from '../../src/embedded/index.ts';
import { disownPostmasterFile } from '../../src/embedded/postmaster-file.ts';
import { isAlive, listProcesses } from '../../src/embedded/processes.ts';
import { ConfigurationError } from '../../src/errors.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { EMBEDDED, runProgram } from './program.ts';

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'kept-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** Stopped with the test, however that ends; may be stopped before. */
async function start(options: EmbeddedOptions): Promise<Embedded> {
  const embedded = await startEmbedded(options);
  onTestFinished(() => embedded.stop());
  return embedded;
}

/** The only server of the folder. */
async function server(options: EmbeddedOptions): Promise<EmbeddedServer> {
  return (await start(options)).servers[0]!;
}

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

/** A program that keeps a server in the folder, until it is killed. */
function keeper(directory: string) {
  return runProgram(`
    import { startEmbedded } from ${JSON.stringify(EMBEDDED)};
    const { servers } = await startEmbedded({ directory: ${JSON.stringify(directory)} });
    console.log(JSON.stringify({ pid: servers[0].pid }));
    setInterval(() => {}, 1000);
  `);
}

test('started again, it has its data, password and port, and the new settings', async () => {
  const directory = await folder();
  const first = await start({ directory, database: 'mine' });
  const [connection] = first.connections;
  await query(connection!, 'create table kept (a int); insert into kept values (7)');
  await first.stop();
  const second = await server({ directory, database: 'mine', settings: { max_connections: 33, work_mem: '3MB' } });
  expect(second.connection).toEqual(connection);
  expect(await query(connection!, 'select a from kept')).toEqual([{ a: 7 }]);
  expect(await query(connection!, 'show max_connections')).toEqual([{ max_connections: '33' }]);
  // What an administrator sets stays, and wins.
  await query(connection!, `alter system set work_mem = '5MB'`);
  await second.stop();
  await second.start();
  expect(await query(connection!, 'show work_mem')).toEqual([{ work_mem: '5MB' }]);
});

test('standbys are started again too, each in its role', async () => {
  const directory = await folder();
  const first = await start({ directory });
  const [primary] = first.servers;
  await query(primary!.connection, 'create table kept (a int)');
  const standby = await primary!.makeStandby();
  await primary!.stop();
  await standby.promote();
  await primary!.follow(standby);
  await first.stop();
  const again = await start({ directory });
  const roles = [...again.servers, ...again.standbys].map(async ({ name, connection }) => [
    name,
    (await query(connection, 'select pg_is_in_recovery() as standby'))[0]!.standby,
  ]);
  expect(await Promise.all(roles)).toEqual([
    ['server1', true],
    ['server1-standby1', false],
  ]);
  await query(again.standbys[0]!.connection, 'insert into kept values (1)');
  await waitFor(async () => (await query(again.connections[0]!, 'select from kept')).length === 1);
});

test('nobody else can read the password, neither from files nor from the command line', async () => {
  const directory = await folder();
  const { connection, pid } = await server({ directory });
  for (const name of ['server.json', 'owner.json', 'data/hypervault.conf', 'postgres.log']) {
    expect((await stat(join(directory, 'server1', name))).mode & 0o077, name).toBe(0);
  }
  expect((await stat(join(directory, 'server1'))).mode & 0o077).toBe(0);
  expect(await readdir(join(directory, 'server1'))).not.toContain('password');
  if (process.platform !== 'linux') return;
  expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(connection.password);
});

test('a folder in use by another process is refused, and the one that uses it is left in peace', async () => {
  const directory = await folder();
  const program = keeper(directory);
  const { pid } = await program.said;
  const error = await rejection(startEmbedded({ directory }));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.message).toContain(`is in use by process ${program.child.pid}`);
  expect(await isAlive(pid)).toBe(true);
  program.child.kill('SIGTERM');
  await program.ended;
  // Whether the former server is still stopping or gone: the next start copes.
  await server({ directory });
});

test('a server whose process and guard were both killed is stopped by the next start', async () => {
  const directory = await folder();
  const program = keeper(directory);
  const { pid } = await program.said;
  const guards = (await listProcesses()).filter((each) => each.parent === program.child.pid && each.pid !== pid);
  for (const guard of guards) if (await isGuard(guard.pid)) process.kill(guard.pid, 'SIGKILL');
  program.child.kill('SIGKILL');
  await program.ended;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await isAlive(pid)).toBe(true);
  const next = await server({ directory });
  expect(await isAlive(pid)).toBe(false);
  expect(await query(next.connection, 'select 1 as one')).toEqual([{ one: 1 }]);
});

async function isGuard(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('pg-hypervault-guard');
}

test('a left-over postmaster.pid whose number another process has today is no hindrance, and no harm to that one', async () => {
  const directory = await folder();
  const first = await server({ directory });
  await query(first.connection, 'create table kept (a int)');
  const file = join(first.dataDirectory, 'postmaster.pid');
  const [, ...rest] = (await readFile(file, 'utf8')).split('\n');
  await first.kill();
  const { uid, gid } = await stat(first.dataDirectory);
  const bystander = spawn('sleep', ['60'], { uid, gid });
  onTestFinished(() => void bystander.kill());
  await writeFile(file, [bystander.pid, ...rest].join('\n'));
  await first.start();
  expect(await query(first.connection, 'select from kept')).toEqual([]);
  expect(await isAlive(bystander.pid!)).toBe(true);
});

test('a server that takes its postmaster.pid with it while the next start looks is no hindrance', async () => {
  const directory = await folder();
  await disownPostmasterFile(directory);
  expect(await readdir(directory)).toEqual([]);
});

test('what an interrupted initdb left does not count', async () => {
  const directory = await folder();
  await mkdir(join(directory, 'server1', 'making-1', 'base'), { recursive: true });
  await writeFile(join(directory, 'server1', 'making-1', 'PG_VERSION'), '18\n');
  await server({ directory });
  expect((await readdir(join(directory, 'server1'))).sort()).toEqual([
    'data',
    'owner.json',
    'postgres.log',
    'server.json',
  ]);
});

test.runIf(process.getuid?.() === 0)('a folder below one that the user of the servers may not pass', async () => {
  const closed = await folder();
  await chmod(closed, 0o700);
  const directory = join(closed, 'within');
  const error = await rejection(startEmbedded({ directory }));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.message).toContain(`can't enter ${directory}`);
});
