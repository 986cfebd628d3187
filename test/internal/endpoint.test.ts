import type pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { AuthenticationError, ConfigurationError, ServerUnavailableError } from '../../src/errors.ts';
import { endClient, lossOf } from '../../src/internal/client-guard.ts';
import { Endpoint } from '../../src/internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';
import { startProxy } from '../support/proxy.ts';
import { type ServerPair, serverPair } from '../support/server-pair.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

let pair: ServerPair;
beforeAll(async () => {
  pair = await serverPair({ keep: true, settings: { max_connections: 40 } });
});
afterAll(() => pair.stop());

function endpointTo(settings: ConnectionSettings = {}): Endpoint {
  const endpoint = new Endpoint({ hosts: pair.hosts, ...pair.login, ...settings });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

async function connected(endpoint: Endpoint): Promise<pg.Client> {
  const client = await endpoint.connect();
  onTestFinished(() => endClient(client));
  return client;
}

const portOf = (client: pg.Client): number => client.port;

test.each([
  ['primary', () => pair.primary],
  ['standby', () => pair.standby],
  ['prefer-standby', () => pair.standby],
] as const)('the %s is found by asking, in whatever order the hosts are named', async (targetRole, wanted) => {
  for (const hosts of [pair.hosts, [...pair.hosts].reverse()]) {
    const client = await connected(endpointTo({ hosts, targetRole }));
    expect(portOf(client)).toBe(wanted().port);
  }
});

test('a single host with the wrong role is refused', async () => {
  const hosts = [`127.0.0.1:${pair.standby.port}`];
  const error = await rejection(endpointTo({ hosts, targetRole: 'primary' }).connect());
  expect(error).toBeInstanceOf(ServerUnavailableError);
  expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(/is not a primary/) });
});

test('a lost session is replaced on the same host', async () => {
  const endpoint = endpointTo();
  const client = await connected(endpoint);
  await pair.query('select pg_terminate_backend($1)', [(client as unknown as { processID: number }).processID]);
  await waitFor(() => lossOf(client));
  expect(endpoint.accepts(client)).toBe(false);
  expect(portOf(await connected(endpoint))).toBe(pair.primary.port);
});

test('a planned switchover, there and back, under the load of a pool: no call hangs, all is well within 2 s', async () => {
  await pair.query('create table if not exists load (id bigint primary key)');
  const endpoint = endpointTo();
  const pool = endpoint.createPool({ max: 4 });
  let next = 0;
  let stopped = false;
  let lastDone = performance.now();
  let longestGap = 0;
  const acknowledged: number[] = [];
  const failures: unknown[] = [];
  const writers = Array.from({ length: 4 }, async () => {
    while (!stopped) {
      next += 1;
      const id = next;
      try {
        await pool.query('insert into load values ($1)', [id]);
        acknowledged.push(id);
        longestGap = Math.max(longestGap, performance.now() - lastDone);
        lastDone = performance.now();
      } catch (error) {
        failures.push(error);
      }
    }
  });
  for (let times = 0; times < 2; times += 1) {
    await pair.switchover();
    await waitFor(() => endpoint.current?.host.port === pair.primary.port, { what: 'the move' });
    const before = acknowledged.length;
    await waitFor(() => acknowledged.length > before + 50, { what: 'writes on the new primary' });
  }
  stopped = true;
  await Promise.all(writers);
  const rows = await pair.query('select count(*)::int as n from load where id = any($1)', [acknowledged]);
  expect(rows[0]!.n).toBe(acknowledged.length);
  expect(longestGap).toBeLessThan(2_000);
  expect(failures.length).toBeLessThan(20);
}, 60_000);

test('a dead machine does not hold up the search for the other one', async () => {
  const dead = await startProxy({ port: pair.standby.port });
  dead.blackhole();
  const endpoint = endpointTo({ hosts: [`127.0.0.1:${dead.port}`, `127.0.0.1:${pair.primary.port}`] });
  const started = performance.now();
  expect(portOf(await connected(endpoint))).toBe(pair.primary.port);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test('a host that went silent is doubted after a second, not after the whole time-out', async () => {
  const proxy = await startProxy({ port: pair.primary.port });
  const hosts = [`127.0.0.1:${proxy.port}`, `127.0.0.1:${pair.standby.port}`];
  const endpoint = endpointTo({ hosts, connectTimeoutMs: 2_000 });
  await connected(endpoint);
  proxy.blackhole();
  const started = performance.now();
  const error = await rejection(endpoint.connect());
  expect(error).toBeInstanceOf(ServerUnavailableError);
  expect(performance.now() - started).toBeLessThan(3_800);
});

test('a server that is stopped (SIGSTOP) costs the time-out and says so', async () => {
  const endpoint = endpointTo({ hosts: [`127.0.0.1:${pair.primary.port}`], connectTimeoutMs: 300 });
  await pair.primary.pause();
  try {
    const error = await rejection(endpoint.connect());
    expect(error).toBeInstanceOf(ServerUnavailableError);
    expect(error.cause).toMatchObject({ message: 'timeout expired' });
  } finally {
    await pair.primary.resume();
  }
});

test('trouble that a person has to mend is told at once, without the password', async () => {
  const wrong = await rejection(endpointTo({ password: 'hush-hush' }).connect({ waitMs: 5_000 }));
  expect(wrong).toBeInstanceOf(AuthenticationError);
  expect(`${wrong.message} ${JSON.stringify(wrong)}`).not.toContain('hush');
  const missing = await rejection(endpointTo({ database: 'nowhere' }).connect({ waitMs: 5_000 }));
  expect(missing).toBeInstanceOf(ConfigurationError);
  const misspelt = await rejection(endpointTo({ hosts: ['no-such-host.invalid'] }).connect({ waitMs: 5_000 }));
  expect(misspelt).toMatchObject({ code: 'SERVER_UNAVAILABLE', retryable: false });
});

test('while nobody listens there is an error with every host and its cause; waiting ends when one is there', async () => {
  const proxy = await startProxy({ port: pair.primary.port });
  const endpoint = endpointTo({ hosts: [`127.0.0.1:${proxy.port}`, '127.0.0.1:1'] });
  await proxy.refuse();
  const error = await rejection(endpoint.connect());
  expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(/:1 failed.*ECONNREFUSED/) });
  expect((error.cause as AggregateError).errors).toHaveLength(2);
  const waiting = endpoint.connect({ waitMs: 5_000 });
  setTimeout(() => void proxy.restore(), 200);
  await (await waiting).end();
});

test('waiting ends with the signal', async () => {
  const endpoint = endpointTo({ hosts: ['127.0.0.1:1', '127.0.0.1:2'] });
  const error = await rejection(endpoint.connect({ waitMs: 60_000, signal: AbortSignal.timeout(100) }));
  expect(error.code).toBe('ABORTED');
});

test('too many connections are a retryable error with its cause', async () => {
  const host = [`127.0.0.1:${pair.primary.port}`];
  const guest = { user: 'guest', password: 'guest' };
  await pair.query(`create role guest login password 'guest' connection limit 1`);
  const endpoint = endpointTo({ hosts: host, ...guest });
  await connected(endpoint);
  const error = await rejection(endpoint.connect());
  expect(error).toMatchObject({ retryable: true, cause: { code: '53300' } });
});

test('a password may be a function, asked for each session', async () => {
  let asked = 0;
  const endpoint = endpointTo({
    hosts: [`127.0.0.1:${pair.primary.port}`],
    password: async () => {
      asked += 1;
      return pair.login.password;
    },
  });
  await connected(endpoint);
  await connected(endpoint);
  expect(asked).toBe(2);
});

test('a refused write ends the session on a standby, and does nothing on a primary', async () => {
  const primary = endpointTo({ hosts: [`127.0.0.1:${pair.primary.port}`] });
  const own = await connected(primary);
  await rejection(own.query('begin read only; create table no (a int)'));
  await own.query('rollback');
  expect(primary.accepts(own)).toBe(true);
  const standby = endpointTo({ hosts: [`127.0.0.1:${pair.standby.port}`] });
  const demoted = await connected(standby);
  const [refused, next] = await Promise.all([
    rejection(demoted.query('create table no (a int)')),
    demoted.query('select 1').catch((error) => error),
  ]);
  expect(refused.code).toBe('25006');
  expect(next).toMatchObject({ code: 'ECONNABORTED' });
  await waitFor(() => !standby.accepts(demoted));
  const reader = endpointTo({ hosts: [`127.0.0.1:${pair.standby.port}`], targetRole: 'any' });
  const session = await connected(reader);
  await rejection(session.query('create table no (a int)'));
  expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('of two primaries the newer timeline is used, sessions on the other are cut, and it is not gone back to', async () => {
  const old = pair.primary;
  const endpoint = endpointTo({ roleCheckMs: 100 });
  const brains: unknown[] = [];
  endpoint.on('splitBrain', (event) => brains.push(event));
  const session = await connected(endpoint);
  expect(portOf(session)).toBe(old.port);
  await pair.promote();
  const loss = (await waitFor(() => lossOf(session), { what: 'the cut' })) as Error;
  expect(loss.message).toMatch(/no longer the primary/);
  expect(portOf(await connected(endpoint))).toBe(pair.primary.port);
  expect(brains[0]).toMatchObject({ chosen: `127.0.0.1:${pair.primary.port}` });
  await pair.primary.stop();
  const error = await rejection(endpoint.connect());
  expect(error.message).toMatch(/is a primary left behind on timeline 3 \(timeline 4 was seen\)/);
  await pair.primary.start();
});
