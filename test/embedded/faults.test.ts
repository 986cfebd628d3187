import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { EmbeddedServerError } from '../../src/embedded/index.ts';
import { childrenOf, isAlive } from '../../src/embedded/processes.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function session(connection: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

test('a frozen server answers nobody, sessions of before included, and goes on where it was', async () => {
  const server = (await ownServers()).servers[0]!;
  const client = await session(server.connection);
  await server.pause();
  let answered = false;
  const asked = client.query('select 1').then(() => {
    answered = true;
  });
  const late = new pg.Client({ ...server.connection, connectionTimeoutMillis: 300 });
  late.on('error', () => {});
  expect((await rejection(late.connect())).message).toMatch(/timeout/);
  expect(answered).toBe(false);
  await server.resume();
  await asked;
  expect(answered).toBe(true);
});

test('a killed server leaves no process, also when it was frozen', async () => {
  const server = (await ownServers()).servers[0]!;
  for (const freeze of [false, true]) {
    await server.start();
    const client = await session(server.connection);
    const { pid } = (await client.query('select pg_backend_pid() as pid')).rows[0];
    const all = [server.pid!, ...(await childrenOf(server.pid!))];
    expect(all).toContain(pid);
    if (freeze) await server.pause();
    await server.kill();
    expect(await Promise.all(all.map(isAlive))).toEqual(all.map(() => false));
    expect([server.running, server.pid]).toEqual([false, undefined]);
  }
});

test('fast ends sessions, immediate too, smart waits for them', async () => {
  const server = (await ownServers()).servers[0]!;
  for (const mode of ['fast', 'immediate'] as const) {
    await session(server.connection);
    await server.stop(mode);
    expect(server.running).toBe(false);
    await server.start();
  }
  const client = await session(server.connection);
  const stopping = server.stop('smart');
  await waitFor(async () => (await server.log()).includes('received smart shutdown request'));
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  await stopping;
  expect(server.running).toBe(false);
});

test('a smart stop that takes too long is an error that quotes the log', async () => {
  const server = (await ownServers({ timeoutMs: 5_000 })).servers[0]!;
  await session(server.connection);
  const error = await rejection(server.stop('smart'));
  expect(error).toBeInstanceOf(EmbeddedServerError);
  expect(error.message).toMatch(
    /server1 in .* did not stop \(smart\) within 5000 ms[\s\S]*received smart shutdown request/,
  );
});

test('calls at the same time wait for each other', async () => {
  const server = (await ownServers()).servers[0]!;
  await Promise.all([server.stop(), server.start(), server.kill(), server.start(), server.pause(), server.resume()]);
  expect((await (await session(server.connection)).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a server that is killed from outside can be started again', async () => {
  const server = (await ownServers()).servers[0]!;
  const { port } = server;
  process.kill(server.pid!, 'SIGKILL');
  await waitFor(() => !server.running);
  await server.start();
  expect(server.port).toBe(port);
  await session(server.connection);
});
