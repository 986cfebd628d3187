// Sixteen writers and the consumers of a group in processes of their own, killed with SIGKILL all the while, the server
// too, and connections cut: every event that was acknowledged is stored once, given once to whoever follows, and worked
// off exactly once. `npm run soak:streams` runs it for 30 s; in the suite it is short.
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { EventStore } from '../../src/streams/index.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy } from '../support/proxy.ts';
import { openStore, storeOn } from './event-store.ts';
import { Processes } from './soak/processes.ts';

const RUN_MS = Number(process.env.HYPERVAULT_SOAK_MS ?? 5_000);
const LONG = RUN_MS >= 20_000;
const WRITERS = 16;
const WRITING_PROCESSES = LONG ? 4 : 2;
/** In ms: what happens how often. */
const CUT_EVERY = 700;
const KILL_WRITER_EVERY = LONG ? 4_000 : 2_000;
const KILL_CONSUMER_EVERY = LONG ? 5_000 : 2_500;
const KILL_SERVER_EVERY = LONG ? 8_000 : 3_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sorted = (items: Iterable<string>): string[] => [...items].sort();

/** What a follower of everything was given, with what was out of order within a stream. */
async function follower(store: EventStore): Promise<{ bodies: string[]; disorder: string[] }> {
  const bodies: string[] = [];
  const disorder: string[] = [];
  const next = new Map<string, bigint>();
  const live = await store.subscribeToAll({ startFrom: 'beginning' });
  void (async () => {
    for await (const event of live.events) {
      const { stream, eventNumber } = event;
      bodies.push(event.json());
      if (eventNumber !== (next.get(stream) ?? 0n)) disorder.push(`${stream}: ${eventNumber}`);
      next.set(stream, eventNumber + 1n);
    }
  })().catch((error: unknown) => disorder.push(String(error)));
  return { bodies, disorder };
}

/** Does something again and again until the time is over; one at a time. */
async function every(ms: number, until: number, action: () => Promise<void>): Promise<void> {
  while (Date.now() + ms < until) {
    await pause(ms);
    await action();
  }
}

/** Waits until so many are there, or nothing has come for a long time: what is missing then, the assertions say. */
async function settled(count: () => Promise<number>, wanted: number): Promise<void> {
  let last = -1;
  for (let quiet = 0; quiet < 50; quiet++) {
    const now = await count();
    if (now >= wanted) return;
    if (now > last) quiet = 0;
    last = now;
    await pause(200);
  }
}

test('0 lost, 0 twice: 16 writers, killed writers, killed consumers, a killed server, cut connections', {
  timeout: RUN_MS * 4 + 120_000,
}, async () => {
  const servers = await ownServers({ settings: { max_connections: 100 } });
  const server = servers.servers[0]!;
  const { connection } = server;
  const proxy = await startProxy({ port: connection.port });
  const shards = '1-4';
  const direct = { ...connection, shards };
  const proxied = { ...connection, host: '127.0.0.1', port: proxy.port, shards };
  const { store } = await storeOn([{ connection, shards }], { pollMs: 100 });
  const client = new pg.Client(connection);
  await client.connect();
  await client.query('create table public.worked_off (body text not null)');
  await client.end();
  await store.createSubscription('soak', '$all', { startFrom: 'beginning', leaseMs: 1_000 });
  const far = await openStore([proxied], { pollMs: 100, requestTimeoutMs: 5_000 });
  const followers = [await follower(store), await follower(far.store)];

  const each = WRITERS / WRITING_PROCESSES;
  const writers = new Processes('writer-process.ts', (life) => [
    JSON.stringify(life % 2 === 0 ? proxied : direct),
    `p${life}`,
    String(each),
  ]);
  const consumers = new Processes('consumer-process.ts', (life) => [
    JSON.stringify(life % 2 === 0 ? proxied : direct),
    `c${life}`,
  ]);
  onTestFinished(async () => {
    await Promise.all([writers.end('SIGKILL'), consumers.end('SIGKILL')]);
  });
  await Promise.all([
    ...Array.from({ length: WRITING_PROCESSES }, () => writers.start()),
    consumers.start(),
    consumers.start(),
  ]);

  const until = Date.now() + RUN_MS;
  const faults = { cuts: 0, servers: 0 };
  await Promise.all([
    every(KILL_WRITER_EVERY, until, () => writers.replaceOldest()),
    every(KILL_CONSUMER_EVERY, until, () => consumers.replaceOldest()),
    every(CUT_EVERY, until, async () => {
      faults.cuts += 1;
      proxy.cut();
    }),
    every(KILL_SERVER_EVERY, until, async () => {
      faults.servers += 1;
      await server.kill();
      await server.start();
    }),
  ]);
  await writers.end('SIGTERM');

  const stored: string[] = [];
  for await (const event of store.iterAll()) stored.push(event.json());
  const reader = new pg.Client(connection);
  await reader.connect();
  onTestFinished(() => reader.end());
  const workedOff = async (): Promise<string[]> =>
    (await reader.query<{ body: string }>('select body from public.worked_off')).rows.map(({ body }) => body);
  await settled(async () => (await workedOff()).length, stored.length);
  await settled(async () => Math.min(...followers.map(({ bodies }) => bodies.length)), stored.length);

  const lost = (from: Iterable<string>, given: readonly string[]): string[] => {
    const there = new Set(given);
    return [...from].filter((body) => !there.has(body));
  };
  const summary = {
    acknowledged: writers.lines.length,
    stored: stored.length,
    lost: lost(writers.lines, stored).length,
    twice: stored.length - new Set(stored).size,
    ...faults,
    writersKilled: writers.kills,
    consumersKilled: consumers.kills,
    workedOff: (await workedOff()).length,
    followed: followers.map(({ bodies }) => bodies.length),
  };
  if (LONG) console.log(summary);
  expect(summary).toMatchObject({ lost: 0, twice: 0 });
  expect([...writers.deaths, ...consumers.deaths]).toEqual([]);
  expect(summary.acknowledged).toBeGreaterThan(200);
  expect(Math.min(faults.servers, writers.kills, consumers.kills, faults.cuts)).toBeGreaterThan(0);
  for (const { bodies, disorder } of followers) {
    expect(disorder).toEqual([]);
    expect(sorted(bodies)).toEqual(sorted(stored));
  }
  expect(sorted(await workedOff())).toEqual(sorted(stored));
});
