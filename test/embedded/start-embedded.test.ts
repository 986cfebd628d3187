import { existsSync } from 'node:fs';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startEmbedded } from '../../src/embedded/index.ts';
import { isAlive } from '../../src/embedded/processes.ts';
import { ConfigurationError } from '../../src/errors.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection } from '../support/wait-for.ts';

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
  expect(await isAlive(pid!)).toBe(false);
  expect((await rejection(query(server!.connection, 'select 1'))).code).toBe('ECONNREFUSED');
  await server!.start();
  expect(server!.port).toBe(port);
  expect(await query(server!.connection, 'select a from kept')).toEqual([{ a: 1 }]);
});

test('a temporary folder is removed by stop, which may be called twice', async () => {
  const temporary = await startEmbedded();
  expect(existsSync(temporary.directory)).toBe(true);
  await Promise.all([temporary.stop(), temporary.stop()]);
  expect(existsSync(temporary.directory)).toBe(false);
});

test('a start that is given up leaves nothing', async () => {
  const controller = new AbortController();
  const starting = startEmbedded({ servers: 2, signal: controller.signal });
  controller.abort(new Error('enough'));
  expect(await rejection(starting)).toMatchObject({ code: 'ABORTED' });
});

test('wrong options are refused before anything starts', async () => {
  await expect(startEmbedded({ server: 2 } as never)).rejects.toThrow(/unknown key "server"; did you mean "servers"\?/);
  await expect(startEmbedded({ servers: 0 })).rejects.toBeInstanceOf(ConfigurationError);
  await expect(startEmbedded({ settings: { 'a b': 1 } })).rejects.toBeInstanceOf(ConfigurationError);
  const broken = await rejection(startEmbedded({ settings: { shared_buffers: 'nonsense' } }));
  expect(broken.message).toMatch(/shared_buffers/); // the server's own words, from its log
});
