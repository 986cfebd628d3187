import { expect, onTestFinished, test } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import { applySchema } from '../../src/internal/migrations.ts';
import {
  Component,
  type ExecuteContext,
  LeaderLease,
  type LeaderLeaseOptions,
  NotificationHub,
  NotificationListener,
  Supervisor,
} from '../../src/listen/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { serverPair } from '../support/server-pair.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const TTL = 1_000;

async function withLeases(): Promise<TestDatabase> {
  const database = await freshDatabase();
  await applySchema(await database.client(), { module: 'listen', scope: 'control', schema: 'hypervault' });
  return database;
}

function lease(connection: ConstructorParameters<typeof LeaderLease>[0], options: Partial<LeaderLeaseOptions> = {}) {
  const one = new LeaderLease(connection, { name: 'work', ttlMs: TTL, ...options });
  onTestFinished(() => one.close());
  one.start();
  return one;
}

test('one of several leads; the next term has a larger epoch', async () => {
  const { connection } = await withLeases();
  const all = Array.from({ length: 5 }, () => lease(connection));
  await waitFor(() => all.some(({ leading }) => leading) && all.every(({ leader }) => leader !== undefined));
  const leaders = all.filter(({ leading }) => leading);
  expect(leaders).toHaveLength(1);
  const [first] = leaders;
  const { epoch, holder } = first!;
  expect(new Set(all.map(({ leader }) => leader))).toEqual(new Set([holder]));
  await first!.close();
  const next = await waitFor(() => all.find(({ leading }) => leading));
  expect(next.epoch).toBeGreaterThan(epoch!);
});

test('a leader renews: its term outlasts the lease many times over', async () => {
  const { connection } = await withLeases();
  const leader = lease(connection, { ttlMs: 300 });
  const other = lease(connection, { ttlMs: 300 });
  const first = await waitFor(() => [leader, other].find(({ leading }) => leading));
  const { epoch } = first;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(first.epoch).toBe(epoch);
});

test('who resigns is followed at once when the others hear it', async () => {
  const { connection } = await withLeases();
  const hub = new NotificationHub(connection);
  onTestFinished(() => hub.close());
  const leader = lease(connection, { ttlMs: 30_000 });
  await waitFor(() => leader.leading);
  const heir = lease(connection, { ttlMs: 30_000, hub });
  await waitFor(() => hub.state === 'listening' && heir.leader !== undefined);
  const started = performance.now();
  await leader.close();
  await waitFor(() => heir.leading, { everyMs: 1 });
  expect(performance.now() - started).toBeLessThan(500);
});

test('a leader that can not renew stops believing before another begins, and that one begins within the lease', async () => {
  const { connection } = await withLeases();
  const proxy = await startProxy({ port: connection.port });
  const cutOff = lease({ ...connection, port: proxy.port });
  await waitFor(() => cutOff.leading);
  const heir = lease(connection);
  await waitFor(() => heir.leader !== undefined);
  proxy.blackhole();
  const silent = performance.now();
  let both = 0;
  let heirSince = 0;
  await waitFor(
    () => {
      if (cutOff.leading && heir.leading) both += 1;
      if (heir.leading) heirSince = performance.now();
      return heir.leading;
    },
    { everyMs: 1 },
  );
  expect(both).toBe(0);
  expect(cutOff.leading).toBe(false);
  expect(heirSince - silent).toBeLessThan(TTL + 300);
  await proxy.restore();
});

test('a fence refuses writes of a term that is over, and holds off the next while they are under way', async () => {
  const database = await withLeases();
  const { connection } = database;
  const leader = lease(connection);
  const epoch = await waitFor(() => leader.epoch);
  const client = await database.client();
  await client.query('begin');
  await leader.fence(client, epoch);
  const heir = lease(connection);
  await leader.close();
  // Long enough for the lease to end and for the heir to try.
  await new Promise((resolve) => setTimeout(resolve, TTL * 1.3));
  expect(heir.leading).toBe(false);
  await client.query('commit');
  await waitFor(() => heir.leading);
  expect(await rejection(leader.fence(client, epoch))).toMatchObject({ code: 'LEASE_LOST', epoch, lease: 'work' });
});

test('without its table it says what to do, once, and goes on trying', async () => {
  const database = await freshDatabase();
  const errors: unknown[] = [];
  // a third of it is what a try may take, on a machine that does much else
  const one = lease(database.connection, { ttlMs: 3_000 });
  one.on('error', (error) => errors.push(error));
  await waitFor(() => errors.length > 0);
  expect(errors[0]).toMatchObject({ code: 'SCHEMA', message: expect.stringMatching(/hypervault init/) });
  await applySchema(await database.client(), { module: 'listen', scope: 'control', schema: 'hypervault' });
  await waitFor(() => one.leading);
  expect(errors).toHaveLength(1);
});

test('names and times are checked', () => {
  expect(() => new LeaderLease({}, { name: '' })).toThrow(ConfigurationError);
  expect(() => new LeaderLease({}, { name: 'x', ttlMs: 5 })).toThrow(/ttlMs/);
});

test('with a leader only one supervisor works; its end hands over', async () => {
  const { connection } = await withLeases();
  class Worker extends Component {
    runs = 0;
    epoch: bigint | undefined;
    execute(_pre: unknown, { epoch }: ExecuteContext): void {
      this.runs += 1;
      this.epoch = epoch;
    }
  }
  const team = Array.from({ length: 3 }, () => {
    const worker = new Worker();
    const supervisor = new Supervisor({ connection, leader: { name: 'team', ttlMs: TTL } });
    onTestFinished(() => supervisor.terminate());
    supervisor.addListener(new NotificationListener({ channel: 'jobs' })).addProcessor(worker);
    return { worker, supervisor };
  });
  await Promise.all(team.map(({ supervisor }) => supervisor.start()));
  await waitFor(() => team.some(({ worker }) => worker.runs > 0));
  const working = team.filter(({ worker }) => worker.runs > 0);
  expect(working).toHaveLength(1);
  await waitFor(() => team.filter(({ supervisor }) => supervisor.state === 'standby').length === 2);
  const idle = team.find(({ supervisor }) => supervisor.state === 'standby')!;
  expect(idle.supervisor.status().reason).toMatch(/leads/);
  await working[0]!.supervisor.terminate();
  const heir = await waitFor(() => team.find(({ worker }) => worker.runs > 0 && worker !== working[0]!.worker));
  expect(heir.worker.epoch).toBeGreaterThan(working[0]!.worker.epoch!);
});

test('epochs grow over a failover that lost the last terms', async () => {
  const pair = await serverPair();
  const [client] = await Promise.all([import('pg').then(({ default: pg }) => new pg.Client(pair.primary.connection))]);
  await client!.connect();
  await applySchema(client!, { module: 'listen', scope: 'control', schema: 'hypervault' });
  await pair.caughtUp();
  await client!.end();
  await pair.standby.stop();
  const terms = async (): Promise<bigint> => {
    const [row] = await pair.query(`select epoch::text from hypervault.lease_acquire('x', $1, 1)`, [
      `${Math.random()}`,
    ]);
    return BigInt(row!.epoch as string);
  };
  let last = 0n;
  for (let term = 0; term < 5; term += 1) {
    last = await terms();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await pair.primary.kill();
  await pair.standby.start();
  await pair.promote();
  expect(await terms()).toBeGreaterThan(last);
});
