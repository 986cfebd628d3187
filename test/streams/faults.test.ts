import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { type EventStore, NewEvent, type PersistentSubscription, type Subscription } from '../../src/streams/index.ts';
import { freshDatabase } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy } from '../support/proxy.ts';
import { findTool } from '../support/tools.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore, openStore, storeOn } from './event-store.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Publishes numbered events to streams until stopped; what was acknowledged must be there once. */
function writers(store: EventStore, count: number): { acknowledged: string[]; stop(): Promise<void> } {
  let writing = true;
  const acknowledged: string[] = [];
  const errors: unknown[] = [];
  const work = Array.from({ length: count }, async (_, w) => {
    for (let i = 0; writing; i++) {
      const body = `${w}-${i}`;
      try {
        await store.publishEvent(`order-${w}`, 'T', { body: JSON.stringify(body) });
        acknowledged.push(body);
      } catch (error) {
        errors.push(error);
      }
      await pause(2);
    }
  });
  return {
    acknowledged,
    stop: async () => {
      writing = false;
      await Promise.all(work);
      expect(errors).toEqual([]);
    },
  };
}

/** What a subscription has given, and whether each stream came in order, without a gap, nothing twice. */
function follow(subscription: Subscription): { bodies: string[]; disorder: string[]; done: Promise<unknown> } {
  const bodies: string[] = [];
  const disorder: string[] = [];
  const next = new Map<string, bigint>();
  const done = (async () => {
    for await (const event of subscription.events) {
      bodies.push(event.json());
      const expected = next.get(event.stream) ?? 0n;
      if (event.eventNumber !== expected) disorder.push(`${event.stream}: ${event.eventNumber} after ${expected - 1n}`);
      next.set(event.stream, event.eventNumber + 1n);
    }
  })().catch((error: unknown) => error);
  return { bodies, disorder, done };
}

function workOff(sub: PersistentSubscription): { bodies: string[]; done: Promise<unknown> } {
  const bodies: string[] = [];
  const done = (async () => {
    for await (const event of sub.events) {
      bodies.push(event.json());
      await sub.ack(event);
    }
  })().catch((error: unknown) => error);
  return { bodies, done };
}

/** Everything has come to whoever follows, and to the group. */
async function caughtUp(acknowledged: readonly string[], followed: string[], workedOff: string[]): Promise<void> {
  const { length } = acknowledged;
  const timeoutMs = 30_000;
  await waitFor(() => followed.length >= length, { timeoutMs, what: `${length} events for the follower` });
  await waitFor(() => unique(workedOff).length >= length, { timeoutMs, what: `${length} events for the group` });
}

const unique = (items: readonly string[]): string[] => [...new Set(items)].sort();

test('a server killed again and again: acknowledged events are there once, subscriptions lose and repeat nothing', {
  timeout: 120_000,
}, async () => {
  const servers = await ownServers({ settings: { max_connections: 60 } });
  const [server] = servers.servers;
  const { store } = await storeOn([{ connection: server!.connection, shards: '1-5' }], { pollMs: 100 });
  await store.createSubscription('g', 'order-*', { startFrom: 'beginning' });
  const all = follow(await store.subscribeToAll({ startFrom: 'beginning' }));
  const one = follow(await store.subscribeTo('order-3'));
  const group = workOff(await store.connectSubscription('g', 'order-*'));
  const load = writers(store, 8);
  for (let kill = 0; kill < 2; kill++) {
    const before = load.acknowledged.length;
    await waitFor(() => load.acknowledged.length > before + 100, { timeoutMs: 20_000 });
    await server!.kill();
    await pause(300);
    await server!.start();
  }
  const before = load.acknowledged.length;
  await waitFor(() => load.acknowledged.length > before + 100, { timeoutMs: 20_000 });
  await load.stop();
  const acknowledged = unique(load.acknowledged);
  await caughtUp(acknowledged, all.bodies, group.bodies);
  expect([...all.bodies].sort()).toEqual(acknowledged);
  expect(all.disorder).toEqual([]);
  expect(one.disorder).toEqual([]);
  const own = acknowledged.filter((body) => body.startsWith('3-')).length;
  await waitFor(() => one.bodies.length === own);
  expect(unique(group.bodies)).toEqual(acknowledged);
});

test('connections cut, delayed and blackholed in every phase', { timeout: 120_000 }, async () => {
  const database = await freshDatabase();
  const direct = await storeOn([{ connection: database.connection, shards: '1-5' }]);
  const proxy = await startProxy({ port: database.connection.port });
  const through = {
    ...database.connection,
    host: '127.0.0.1',
    port: proxy.port,
    shards: '1-5',
    connectTimeoutMs: 1_000,
  };
  const { store } = await openStore([through], { requestTimeoutMs: 1_000, pollMs: 100 });
  await direct.store.createSubscription('g', 'order-*', { startFrom: 'beginning', leaseMs: 1_000 });
  const load = writers(store, 6);
  const all = follow(await store.subscribeToAll({ startFrom: 'beginning', batchSize: 10 }));
  const stream = follow(await store.subscribeTo('order-1'));
  const group = workOff(await store.connectSubscription('g', 'order-*'));
  for (let round = 0; round < 12; round++) {
    await pause(20 + Math.random() * 120);
    if (round % 6 === 4) {
      proxy.blackhole();
      await pause(200);
      await proxy.restore();
    } else if (round % 6 === 2) {
      proxy.delay(30);
      await pause(200);
      proxy.cut();
      await proxy.restore();
    } else {
      proxy.cut();
    }
  }
  const before = load.acknowledged.length;
  await waitFor(() => load.acknowledged.length > before + 50, { timeoutMs: 20_000 });
  await load.stop();
  const acknowledged = unique(load.acknowledged);
  await caughtUp(acknowledged, all.bodies, group.bodies);
  expect([...all.bodies].sort()).toEqual(acknowledged);
  expect(all.disorder).toEqual([]);
  expect(stream.disorder).toEqual([]);
  expect(unique(group.bodies)).toEqual(acknowledged);
  const stored: string[] = [];
  for await (const event of direct.store.iterAll()) stored.push(event.json());
  expect(stored.sort()).toEqual(acknowledged);
});

test('iterating goes on through a cut, behind the last event it gave', async () => {
  const database = await freshDatabase();
  await storeOn([{ connection: database.connection, shards: '1-5' }]);
  const proxy = await startProxy({ port: database.connection.port });
  const through = { ...database.connection, host: '127.0.0.1', port: proxy.port, shards: '1-5' };
  const { store } = await openStore([through]);
  await store.publish(
    'order-1',
    Array.from({ length: 400 }, (_, i) => new NewEvent('T', { body: i })),
  );
  for (const events of [store.iter('order-1', { batchSize: 20 }), store.iterAll({ batchSize: 20 })]) {
    const seen: unknown[] = [];
    for await (const event of events) {
      seen.push(event.json());
      if (seen.length % 90 === 0) proxy.cut();
    }
    expect(seen).toEqual(Array.from({ length: 400 }, (_, i) => i));
  }
});

test('a switchover: everything goes on at the new primary', { timeout: 120_000 }, async () => {
  const servers = await ownServers({ settings: { max_connections: 60 } });
  const primary = servers.servers[0]!;
  const standby = await primary.makeStandby();
  const hosts = [`127.0.0.1:${primary.port}`, `127.0.0.1:${standby.port}`];
  const { host: _h, port: _p, ...rest } = primary.connection;
  const { store } = await storeOn([{ connection: { ...rest, hosts }, shards: '1-3' }], { pollMs: 100 });
  await store.createSubscription('g', '$all', { startFrom: 'beginning' });
  const all = follow(await store.subscribeToAll({ startFrom: 'beginning' }));
  const group = workOff(await store.connectSubscription('g', '$all'));
  const load = writers(store, 6);
  await waitFor(() => load.acknowledged.length > 200, { timeoutMs: 20_000 });
  await primary.stop();
  await standby.promote();
  const before = load.acknowledged.length;
  await waitFor(() => load.acknowledged.length > before + 200, { timeoutMs: 30_000 });
  await load.stop();
  const acknowledged = unique(load.acknowledged);
  await caughtUp(acknowledged, all.bodies, group.bodies);
  expect([...all.bodies].sort()).toEqual(acknowledged);
  expect(all.disorder).toEqual([]);
  expect(unique(group.bodies)).toEqual(acknowledged);
});

test('an unrelated transaction left open stops nobody', async () => {
  const { store, database } = await freshStore();
  const open = await database.client();
  await open.query('begin; create temporary table held as select pg_current_xact_id()');
  const all = follow(await store.subscribeToAll());
  const shardId = store.shardFor('order-1');
  const client = await database.client();
  await client.query('begin');
  await client.query(
    `select * from shard000${shardId}.hv_append_one('late', -2, false, array[gen_random_uuid()], '{T}', '{"\\"late\\""}', '{null}', '{null}')`,
  );
  for (let i = 0; i < 50; i++) await store.publishEvent('order-1', 'T', { body: JSON.stringify(`${i}`) });
  await waitFor(() => all.bodies.length === 50);
  await client.query('commit');
  await waitFor(() => all.bodies.length === 51);
  expect(all.bodies.at(-1)).toBe('late');
});

test('events of a writer that died before its pass are found by the poll', async () => {
  const { store, database } = await freshStore({ pollMs: 100 });
  const all = follow(await store.subscribeToAll());
  const shardId = store.shardFor('dead-1');
  await database.query(
    `select * from shard000${shardId}.hv_append_one('dead-1', -2, false, array[gen_random_uuid()], '{T}', '{"\\"x\\""}', '{null}', '{null}')`,
  );
  await waitFor(() => all.bodies.length === 1, { timeoutMs: 2_000 });
});

function consumerProcess(args: string[]): { child: ChildProcess; lines: string[] } {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'consumer-process.ts'), ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    }
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  return { child, lines };
}

test('a consumer killed with SIGKILL: its events go to another one, little comes twice', {
  timeout: 60_000,
}, async () => {
  const { store, database } = await freshStore();
  await store.createSubscription('g', 's', { startFrom: 0n, leaseMs: 800 });
  await store.publish(
    's',
    Array.from({ length: 3_000 }, (_, i) => new NewEvent('T', { body: i })),
  );
  const { child, lines } = consumerProcess([
    JSON.stringify({ ...database.connection, shards: '1-5' }),
    'g',
    's',
    '1700',
  ]);
  await waitFor(() => lines.includes('1000'), { timeoutMs: 20_000 });
  const group = workOff(await store.connectSubscription('g', 's'));
  await waitFor(() => child.signalCode === 'SIGKILL', { timeoutMs: 20_000 });
  await waitFor(() => group.bodies.includes(2_999 as never), { timeoutMs: 20_000 });
  const seen = [...lines.slice(1).map(Number), ...(group.bodies as unknown as number[])];
  expect(new Set(seen).size).toBe(3_000);
  // at most checkpointMaxCount, and what was acknowledged while a step was being written
  expect(seen.length - 3_000).toBeLessThan(1_500);
  const first = (group.bodies as unknown as number[])[0]!;
  expect(first).toBeLessThanOrEqual(1_700);
});

test('an event that kills its consumers is parked', { timeout: 90_000 }, async () => {
  const { store, database } = await freshStore();
  await store.createSubscription('g', 's', { startFrom: 0n, leaseMs: 300, maxRetryCount: 1 });
  await store.publish(
    's',
    Array.from({ length: 20 }, (_, i) => new NewEvent('T', { body: i })),
  );
  const args = [JSON.stringify({ ...database.connection, shards: '1-5' }), 'g', 's', '7'];
  for (let life = 0; life < 3; life++) {
    const { child } = consumerProcess(args);
    await waitFor(() => child.signalCode === 'SIGKILL', { timeoutMs: 30_000 });
  }
  const group = workOff(await store.connectSubscription('g', 's'));
  await waitFor(() => (group.bodies as unknown as number[]).includes(19), { timeoutMs: 20_000 });
  await waitFor(async () => (await store.subscriptionStats('g', 's')).parked === 1);
  for await (const parked of store.parked('g', 's')) expect(parked.event.json()).toBe(7);
});

test('a shard dumped and restored elsewhere keeps its positions, and its groups go on', {
  timeout: 120_000,
}, async () => {
  // pg_dump and the server must be of one version: those of the machine, not the embedded ones
  const psql = findTool('psql');
  const pgbench = findTool('pgbench');
  if (psql === undefined || pgbench === undefined) return;
  const versions = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
  const binaryDirectory = `/usr/lib/postgresql/${versions[0]}/bin`;
  const pgDump = join(binaryDirectory, 'pg_dump');
  const servers = await ownServers({ servers: 2, binaryDirectory });
  const [here, there] = servers.servers;
  const { store } = await storeOn([{ connection: here!.connection, shards: '1-2' }]);
  for (let i = 0; i < 100; i++) await store.publishEvent(`order-${i % 5}`, 'T', { body: i });
  await store.createSubscription('g', '$all', { startFrom: 'beginning' });
  const sub = await store.connectSubscription('g', '$all');
  for (let i = 0; i < 40; i++) await sub.ack((await sub.next()).value!);
  await sub.close();
  const before: string[] = [];
  for await (const event of store.iterAll()) before.push(`${event.position} ${event.id}`);
  await store.close();
  const { connection } = here!;
  const url = ({ user, password, host, port, database }: typeof connection): string =>
    `postgres://${user}:${password}@${host}:${port}/${database}`;
  const file = join(tmpdir(), `hv-dump-${process.pid}.sql`);
  // one has no position yet when the dump is taken
  execFileSync(psql, [
    url(connection),
    '-qc',
    `select * from shard0001.hv_append_one('order-1', -2, false, array[gen_random_uuid()], '{T}', '{100}', '{null}', '{null}')`,
  ]);
  execFileSync(pgDump, [url(connection), '-n', 'shard0001', '-n', 'hypervault', '-f', file]);
  execFileSync(psql, [url(there!.connection), '-q', '-c', 'create extension if not exists hstore', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  expect(readFileSync(file, 'utf8')).toContain('hv_events');

  const restored = await openStore([{ ...there!.connection, shards: '1-2' }]);
  const after: string[] = [];
  for await (const event of restored.store.iterAll()) after.push(`${event.position} ${event.id}`);
  expect(after.slice(0, 100)).toEqual(before);
  expect(after).toHaveLength(101);
  const again = await restored.store.connectSubscription('g', '$all');
  const rest: unknown[] = [];
  for (let i = 0; i < 61; i++) {
    const event = (await again.next()).value!;
    rest.push(event.json());
    await again.ack(event);
  }
  expect(rest).toEqual(Array.from({ length: 61 }, (_, i) => i + 40));
  const more = await restored.store.publishEvent('order-1', 'T', { body: 101 });
  expect(more.firstEventNumber).toBe(21n);
  expect((await again.next()).value!.json()).toBe(101);
});

test('a server that stays away: what was asked for rejects in time, and says so', async () => {
  const servers = await ownServers();
  const [server] = servers.servers;
  const { store } = await storeOn(
    [{ connection: server!.connection, shards: '1-5' }],
    { retryMs: 500 },
    { poolBlockTimeoutMs: 300 },
  );
  await store.publishEvent('s', 'T');
  await server!.kill();
  const started = performance.now();
  const outcomes = await Promise.all([
    rejection(store.publishEvent('s', 'T')),
    rejection(store.get('s')),
    rejection(store.ping()),
  ]);
  expect(performance.now() - started).toBeLessThan(5_000);
  for (const error of outcomes) expect(['POOL_TIMEOUT', 'SERVER_UNAVAILABLE', 'OUTCOME_UNKNOWN']).toContain(error.code);
});
