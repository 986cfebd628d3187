// What a listener must live through, on servers of its own. Rows are written every 5 ms all the while: none may be missed.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type HubOptions, NotificationHub, type StateChange } from '../../src/listen/index.ts';
import { CREATE_JOBS, startJobWriter } from '../support/job-writer.ts';
import { startProxy } from '../support/proxy.ts';
import { type ServerPair, serverPair } from '../support/server-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: ServerPair;
beforeAll(async () => {
  pair = await serverPair({ keep: true });
  await pair.query(CREATE_JOBS);
});
afterAll(() => pair.stop());

const APP = 'listener-under-test';

interface Reader {
  readonly hub: NotificationHub;
  readonly seen: Set<number>;
  readonly changes: StateChange[];
  /** Waits until it listens again, and returns how long that took from now. */
  backWithin(ms: number): Promise<number>;
  /** Waits until all these ids were seen, by notification or by catch-up. */
  missesNoneOf(ids: number[]): Promise<void>;
}

/** A listener that knows of a job from its notification, or from the table when it may have missed some. */
async function startReader({
  hosts = pair.hosts,
  ...options
}: HubOptions & { hosts?: string[] } = {}): Promise<Reader> {
  await pair.query('delete from jobs');
  const hub = new NotificationHub({ hosts, ...pair.login, applicationName: APP }, options);
  onTestFinished(() => hub.close());
  const seen = new Set<number>();
  const changes: StateChange[] = [];
  hub.on('state', (change) => changes.push(change));
  const subscription = hub.subscribe('jobs', ({ payload }) => seen.add(Number(payload)), {
    onCatchUp: async () => {
      for (const { id } of await pair.query('select id from jobs')) seen.add(id as number);
    },
  });
  await subscription.ready();
  return {
    hub,
    seen,
    changes,
    backWithin: async (ms) => {
      const started = performance.now();
      await waitFor(() => hub.state === 'listening', { timeoutMs: ms, everyMs: 1, what: 'listening again' });
      return performance.now() - started;
    },
    missesNoneOf: async (ids) => {
      await waitFor(() => ids.every((id) => seen.has(id)), { timeoutMs: 3_000, what: 'every row' });
    },
  };
}

/** Terminates the listener's backend; resolves when its loss was noticed. */
async function terminate({ changes }: Reader): Promise<void> {
  const before = changes.length;
  await pair.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [APP]);
  await waitFor(() => changes.length > before, { everyMs: 1, what: 'the loss' });
}

test('five terminated backends: back within a second each time', async () => {
  const reader = await startReader();
  const writer = startJobWriter({ hosts: pair.hosts, ...pair.login });
  for (let kill = 0; kill < 5; kill += 1) {
    await terminate(reader);
    expect(await reader.backWithin(1_000)).toBeLessThan(1_000);
    const { written } = writer;
    await waitFor(() => writer.written > written + 20);
  }
  await reader.missesNoneOf(await writer.stop());
  expect(reader.hub.status().reconnects).toBeGreaterThanOrEqual(5);
});

test.each(['fast', 'immediate'] as const)('stop %s and start', async (mode) => {
  const reader = await startReader();
  const writer = startJobWriter({ hosts: pair.hosts, ...pair.login });
  await waitFor(() => writer.written > 20);
  await pair.primary.stop(mode);
  await waitFor(() => reader.hub.state !== 'listening');
  await pair.primary.start();
  await reader.backWithin(1_000);
  const { written } = writer;
  await waitFor(() => writer.written > written + 20);
  await reader.missesNoneOf(await writer.stop());
});

test('SIGKILL of another backend makes the server restart: back at once', async () => {
  const reader = await startReader();
  const writer = startJobWriter({ hosts: pair.hosts, ...pair.login });
  await waitFor(() => writer.written > 20);
  const [row] = await pair.query(`select pid from pg_stat_activity where backend_type = 'client backend' limit 1`);
  process.kill(row!.pid as number, 'SIGKILL');
  await waitFor(() => reader.changes.length > 1, { what: 'the loss' });
  await reader.backWithin(5_000);
  const { written } = writer;
  await waitFor(() => writer.written > written + 20);
  await reader.missesNoneOf(await writer.stop());
});

test('SIGKILL of the whole server, a long outage, and a start: back within a second of the start', async () => {
  const reader = await startReader();
  await pair.primary.kill();
  await waitFor(() => ['backoff', 'standby'].includes(reader.hub.state));
  expect(reader.hub.status().nextRetryAt).toBeInstanceOf(Date);
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(reader.changes.length).toBeLessThan(5);
  await pair.primary.start();
  await reader.backWithin(1_000);
});

test('switchover, there and back: on the new primary within a second of its promotion', async () => {
  const reader = await startReader();
  const writer = startJobWriter({ hosts: pair.hosts, ...pair.login });
  for (let times = 0; times < 2; times += 1) {
    await waitFor(() => writer.written > 20);
    await pair.switchover();
    await reader.backWithin(1_000);
    expect(reader.hub.status().host).toBe(`127.0.0.1:${pair.primary.port}`);
    const { written } = writer;
    await waitFor(() => writer.written > written + 20);
  }
  await reader.missesNoneOf(await writer.stop());
}, 60_000);

test('a promotion is seen within a second when only the standby was there before', async () => {
  await pair.primary.stop();
  const hub = new NotificationHub({ hosts: pair.hosts, ...pair.login });
  onTestFinished(() => hub.close());
  const subscription = hub.subscribe('jobs', () => {});
  await waitFor(() => hub.state === 'standby');
  await pair.promote();
  const promoted = performance.now();
  await subscription.ready({ signal: AbortSignal.timeout(5_000) });
  expect(performance.now() - promoted).toBeLessThan(1_000);
  await pair.standby.follow(pair.primary);
});

test('a half-open socket is found within heartbeat and time-out', async () => {
  const proxy = await startProxy({ port: pair.primary.port });
  const hosts = [`127.0.0.1:${proxy.port}`];
  const reader = await startReader({ hosts, heartbeatMs: 500, heartbeatTimeoutMs: 500 });
  proxy.blackhole();
  const silent = performance.now();
  await waitFor(() => reader.hub.state !== 'listening', { timeoutMs: 1_300, what: 'the loss' });
  expect(performance.now() - silent).toBeLessThan(1_200);
  expect(reader.hub.status().lastError).toMatchObject({ reason: 'heartbeat' });
  await proxy.restore();
  await reader.backWithin(7_000);
});

test('a backend that is stopped in its tracks (SIGSTOP) is found the same way', async () => {
  const reader = await startReader({ heartbeatMs: 300, heartbeatTimeoutMs: 300 });
  const [row] = await pair.query('select pid from pg_stat_activity where application_name = $1', [APP]);
  process.kill(row!.pid as number, 'SIGSTOP');
  onTestFinished(() => void process.kill(row!.pid as number, 'SIGCONT'));
  await waitFor(() => reader.changes.length > 1, { timeoutMs: 1_000, what: 'the loss' });
  await reader.backWithin(1_000);
});

test('a start while no server is there becomes a session once one is, long before the back-off ends', async () => {
  const proxy = await startProxy({ port: pair.primary.port });
  await proxy.refuse();
  const hub = new NotificationHub({ hosts: [`127.0.0.1:${proxy.port}`], ...pair.login }, { backoffMs: 30_000 });
  onTestFinished(() => hub.close());
  const subscription = hub.subscribe('jobs', () => {});
  await waitFor(() => hub.state === 'backoff');
  await proxy.restore();
  await subscription.ready({ signal: AbortSignal.timeout(1_000) });
});

test('a close during back-off takes no time', async () => {
  const hub = new NotificationHub({ hosts: ['127.0.0.1:1'] }, { backoffMs: 30_000 });
  hub.open();
  await waitFor(() => hub.state === 'backoff');
  const started = performance.now();
  await hub.close();
  expect(performance.now() - started).toBeLessThan(200);
  expect(hub.state).toBe('stopped');
});

test('a wrong password is a clear state, tried again only with the back-off', async () => {
  const hub = new NotificationHub({ hosts: pair.hosts, ...pair.login, password: 'wrong' }, { backoffMs: 200 });
  onTestFinished(() => hub.close());
  const changes: StateChange[] = [];
  hub.on('state', (change) => changes.push(change));
  hub.open();
  await waitFor(() => hub.state === 'backoff');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(changes.map(({ to }) => to)).toEqual(['connecting', 'backoff']);
  expect(hub.status().lastError).toMatchObject({ code: 'AUTHENTICATION' });
});

test('a hub that may give up does, and says why', async () => {
  const hub = new NotificationHub({ hosts: ['127.0.0.1:1'] }, { backoffMs: 20, giveUpMs: 100 });
  const subscription = hub.subscribe('jobs', () => {});
  await expect(subscription.ready()).rejects.toThrow(/gave up after 100 ms/);
  expect(hub.status()).toMatchObject({ state: 'stopped', lastError: { code: 'SERVER_UNAVAILABLE' } });
  await hub.close();
});

// Last, because it leaves two primaries behind.
test('of two primaries the newer one is followed, while the old one still lives', async () => {
  const hub = new NotificationHub({ hosts: pair.hosts, ...pair.login, roleCheckMs: 200 });
  onTestFinished(() => hub.close());
  await hub.subscribe('jobs', () => {}).ready();
  const old = hub.status();
  await pair.promote();
  await waitFor(() => hub.state === 'listening' && hub.status().host !== old.host, { timeoutMs: 2_000 });
  expect(hub.status().timeline).toBe(old.timeline! + 1);
});
