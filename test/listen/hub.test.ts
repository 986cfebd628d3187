import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { InvalidArgumentError } from '../../src/errors.ts';
import { Endpoint } from '../../src/internal/endpoint/endpoint.ts';
import {
  type HubOptions,
  InvalidConfigurationError,
  type Notification,
  NotificationHub,
  notify,
} from '../../src/listen/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

function hubOn(connection: ConstructorParameters<typeof NotificationHub>[0], options: HubOptions = {}) {
  const hub = new NotificationHub(connection, options);
  onTestFinished(() => hub.close());
  return hub;
}

/** An endpoint that keeps the sessions it opened, for tests that do harm to them. */
function endpointWithSessions(database: TestDatabase): { endpoint: Endpoint; sessions: pg.Client[] } {
  const sessions: pg.Client[] = [];
  class Remembering extends Endpoint {
    override async connect(...args: Parameters<Endpoint['connect']>): Promise<pg.Client> {
      const client = await super.connect(...args);
      sessions.push(client);
      return client;
    }
  }
  return { endpoint: new Remembering(database.connection), sessions };
}

test('notifications arrive in order, each with its payload, after the catch-up was called', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection);
  const seen: string[] = [];
  const subscription = hub.subscribe('jobs', ({ payload }) => seen.push(payload), {
    onCatchUp: ({ reason }) => seen.push(`catch-up: ${reason}`),
  });
  await subscription.ready();
  const client = await database.client();
  for (const payload of ['a', 'b', '', 'c']) await notify(client, 'jobs', payload);
  await waitFor(() => seen.length === 5);
  expect(seen).toEqual(['catch-up: start', 'a', 'b', '', 'c']);
  expect(hub.status()).toMatchObject({ state: 'listening', mode: 'listening', role: 'primary', notifications: 4 });
});

test('all channels share one session', async () => {
  const database = await freshDatabase();
  const hub = hubOn({ ...database.connection, applicationName: 'one-session' });
  await Promise.all(['a', 'b', 'c'].map((channel) => hub.subscribe(channel, () => {}).ready()));
  const { rows } = await database.query(`select from pg_stat_activity where application_name = 'one-session'`);
  expect(rows).toHaveLength(1);
});

test('a channel is left with its last subscription, and may be joined again', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection);
  const seen: string[] = [];
  const first = hub.subscribe('x', () => seen.push('first'));
  const second = hub.subscribe('x', () => seen.push('second'));
  await Promise.all([first.ready(), second.ready()]);
  await first.close();
  const client = await database.client();
  await notify(client, 'x');
  await waitFor(() => seen.length > 0);
  await second.close();
  expect(hub.status().channels).toEqual([]);
  const third = hub.subscribe('x', () => seen.push('third'));
  await third.ready();
  await notify(client, 'x');
  await waitFor(() => seen.includes('third'));
  expect(seen).toEqual(['second', 'third']);
});

test.each(['UPPER', 'with "quotes"', 'a; drop table x', 'ünï😀', `${'x'.repeat(63)}`, ' '])(
  'the channel %j means itself',
  async (channel) => {
    const database = await freshDatabase();
    const hub = hubOn(database.connection);
    const seen: Notification[] = [];
    await hub.subscribe(channel, (notification) => seen.push(notification)).ready();
    await notify(await database.client(), channel, 'hello');
    await waitFor(() => seen.length === 1);
    expect(seen[0]).toMatchObject({ channel, payload: 'hello' });
  },
);

test.each(['', 'x'.repeat(64), 'a\0b', '\ud800', 7 as unknown as string])('the channel %j is refused', (channel) => {
  const hub = hubOn({ host: 'localhost' });
  expect(() => hub.subscribe(channel, () => {})).toThrow(InvalidArgumentError);
});

test('a hub for standbys is refused: they have no notifications', () => {
  expect(() => new NotificationHub({ targetRole: 'standby' })).toThrow(InvalidConfigurationError);
});

test.each([
  [{ heartbeatMs: -1 }, /heartbeatMs/],
  [{ heartbeatTimeoutMs: 0 }, /heartbeatTimeoutMs/],
  [{ pollMs: Number.POSITIVE_INFINITY }, /pollMs/],
  [{ backoffMs: 10, maxBackoffMs: 5 }, /shorter/],
  [{ heartbeat: 1 } as HubOptions, /did you mean "heartbeatMs"/],
])('the options %o are refused', (options, message) => {
  expect(() => new NotificationHub({}, options)).toThrow(message);
});

test('what a handler throws is told, and the hub goes on', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection);
  const errors: unknown[] = [];
  hub.on('error', (event) => errors.push(event));
  let seen = 0;
  await hub
    .subscribe('x', ({ payload }) => {
      seen += 1;
      if (payload === 'bad') throw new Error('handler');
      if (payload === 'worse') return Promise.reject(new Error('async handler'));
    })
    .ready();
  const client = await database.client();
  for (const payload of ['bad', 'worse', 'good']) await notify(client, 'x', payload);
  await waitFor(() => seen === 3 && errors.length === 2);
  expect(hub.state).toBe('listening');
});

test('a catch-up that fails is repeated; requests during one make one more', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection, { backstopMs: 5 });
  let runs = 0;
  let running = 0;
  let mostAtOnce = 0;
  hub.subscribe('x', () => {}, {
    onCatchUp: async () => {
      runs += 1;
      running += 1;
      mostAtOnce = Math.max(mostAtOnce, running);
      await new Promise((resolve) => setTimeout(resolve, 30));
      running -= 1;
      if (runs === 1) throw new Error('not yet');
    },
  });
  await waitFor(() => runs >= 4);
  expect(mostAtOnce).toBe(1);
});

test('a new session ends the pause after a catch-up that failed', async () => {
  const database = await freshDatabase();
  const { endpoint, sessions } = endpointWithSessions(database);
  const hub = hubOn(endpoint);
  const runs: number[] = [];
  const subscription = hub.subscribe('x', () => {}, {
    onCatchUp: () => {
      runs.push(performance.now());
      if (runs.length <= 6) throw new Error('not yet');
    },
  });
  await subscription.ready();
  // The pauses grow to seconds by now.
  await waitFor(() => runs.length === 6);
  await database.query('select pg_terminate_backend($1)', [
    (sessions[0] as unknown as { processID: number }).processID,
  ]);
  await waitFor(() => hub.status().reconnects === 1);
  const reconnected = performance.now();
  await waitFor(() => runs.length === 7);
  expect(runs[6]! - reconnected).toBeLessThan(500);
});

test('a session that no longer listens (UNLISTEN *) is found by the heartbeat, and the gap is caught up', async () => {
  const database = await freshDatabase();
  const { endpoint, sessions } = endpointWithSessions(database);
  const hub = hubOn(endpoint, { heartbeatMs: 100, heartbeatTimeoutMs: 500 });
  const reasons: string[] = [];
  const subscription = hub.subscribe('x', () => {}, { onCatchUp: ({ reason }) => reasons.push(reason) });
  await subscription.ready();
  const started = performance.now();
  await sessions[0]!.query('unlisten *');
  await waitFor(() => reasons.includes('reconnect'));
  expect(performance.now() - started).toBeLessThan(1_000);
  expect(hub.status().lastError).toMatchObject({ code: 'LISTEN', reason: 'channels' });
});

test('20,000 notifications, sent 100 per transaction, arrive without loss', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection);
  let next = 0;
  await hub
    .subscribe('many', ({ payload }) => {
      expect(Number(payload)).toBe(next);
      next += 1;
    })
    .ready();
  const client = await database.client();
  const started = performance.now();
  for (let first = 0; first < 20_000; first += 100) {
    await client.query(`select pg_notify('many', n::text) from generate_series($1::int, $1 + 99) as n`, [first]);
  }
  await waitFor(() => next === 20_000);
  expect(performance.now() - started).toBeLessThan(5_000);
});

test('a hub that was never used closes; one that is closed takes no subscriptions', async () => {
  const hub = new NotificationHub({ host: 'localhost' });
  await hub.close();
  await hub.close();
  expect(() => hub.subscribe('x', () => {})).toThrow(/closed/);
});

test('waiting for a channel ends with the signal, and when the hub closes', async () => {
  const hub = hubOn({ host: '127.0.0.1', port: 1 });
  const subscription = hub.subscribe('x', () => {});
  expect(await rejection(subscription.ready({ signal: AbortSignal.timeout(50) }))).toMatchObject({ code: 'ABORTED' });
  const waiting = rejection(subscription.ready());
  await hub.close();
  expect(await waiting).toMatchObject({ code: 'CLOSED' });
});

test('a pollster wakes its subscribers without LISTEN', async () => {
  const database = await freshDatabase();
  const hub = hubOn(database.connection, { pollOnly: true, pollMs: 20 });
  const reasons: string[] = [];
  hub.subscribe('x', () => {}, { onCatchUp: ({ reason }) => reasons.push(reason) });
  await waitFor(() => reasons.length > 3);
  expect(hub.status().mode).toBe('polling');
  expect(reasons.slice(0, 2)).toEqual(['start', 'poll']);
});
