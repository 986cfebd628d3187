// Where processors run while the roles of two servers change.
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  Component,
  type ExecuteContext,
  NotificationListener,
  PostgresConnector,
  type StateChange,
  Supervisor,
  type SupervisorOptions,
} from '../../src/listen/index.ts';
import { CREATE_JOBS, startJobWriter } from '../support/job-writer.ts';
import { type ServerPair, serverPair } from '../support/server-pair.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

let pair: ServerPair;
beforeAll(async () => {
  pair = await serverPair({ keep: true });
  await pair.query(CREATE_JOBS);
});
afterAll(() => pair.stop());

/** Reads all jobs from the primary on each run, on a session of its own. */
class JobReader extends Component {
  readonly seen = new Set<number>();
  readonly #connector = new PostgresConnector({ hosts: pair.hosts, ...pair.login });
  lives = 0;
  live = false;

  override setUp(): void {
    this.live = true;
    this.lives += 1;
  }

  async execute(_pre: unknown, _context: ExecuteContext): Promise<void> {
    for (const { id } of (await this.#connector.query<{ id: number }>('select id from jobs')).rows) this.seen.add(id);
  }

  override async tearDown(): Promise<void> {
    this.live = false;
    await this.#connector.disconnect();
  }
}

async function supervised(options: Partial<SupervisorOptions> = {}) {
  const reader = new JobReader();
  const supervisor = new Supervisor({ connection: { hosts: pair.hosts, ...pair.login }, ...options });
  onTestFinished(() => supervisor.terminate());
  const changes: StateChange[] = [];
  supervisor.on('state', (change) => changes.push(change));
  supervisor.addListener(new NotificationListener({ channel: 'jobs' })).addProcessor(reader);
  await supervisor.start();
  return { supervisor, reader, changes };
}

test('switchover, there and back: processors run on the new primary within a second of its promotion', async () => {
  await pair.query('delete from jobs');
  const { supervisor, reader } = await supervised();
  await waitFor(() => supervisor.state === 'listening');
  const writer = startJobWriter({ hosts: pair.hosts, ...pair.login });
  for (let times = 0; times < 2; times += 1) {
    const { written } = writer;
    await waitFor(() => writer.written > written + 20);
    await pair.primary.stop();
    await waitFor(() => supervisor.state !== 'listening');
    await pair.promote();
    const promoted = performance.now();
    await waitFor(() => supervisor.state === 'listening' && reader.live, { everyMs: 1 });
    expect(performance.now() - promoted).toBeLessThan(1_000);
    await pair.standby.follow(pair.primary);
  }
  const ids = await writer.stop();
  await waitFor(() => ids.every((id) => reader.seen.has(id)), { what: 'every row' });
}, 60_000);

test('on a standby nothing runs; the promotion of a single host is seen', async () => {
  const hosts = [`127.0.0.1:${pair.standby.port}`];
  const { supervisor, reader } = await supervised({ connection: { hosts, ...pair.login } });
  await waitFor(() => supervisor.state === 'standby');
  expect(supervisor.status()).toMatchObject({ role: 'standby', reason: expect.stringMatching(/is a standby/) });
  expect(reader.lives).toBe(0);
  await pair.primary.stop();
  await pair.promote();
  const promoted = performance.now();
  await waitFor(() => reader.live, { everyMs: 1 });
  expect(performance.now() - promoted).toBeLessThan(1_000);
  await pair.standby.follow(pair.primary);
});

test('a promotion is seen with its data directory watched', async () => {
  const hosts = [`127.0.0.1:${pair.standby.port}`];
  const watchPath = pair.standby.dataDirectory;
  const { reader, supervisor } = await supervised({
    connection: { hosts, ...pair.login },
    watchPath,
  });
  await waitFor(() => supervisor.state === 'standby');
  await pair.primary.stop();
  await pair.promote();
  const promoted = performance.now();
  await waitFor(() => reader.live, { everyMs: 1 });
  expect(performance.now() - promoted).toBeLessThan(1_000);
  await pair.standby.follow(pair.primary);
});

test('only the files that were named count, by their whole name', async () => {
  const watchPath = await mkdtemp(join(tmpdir(), 'watched-'));
  onTestFinished(() => rm(watchPath, { recursive: true }));
  let looks = 0;
  class Counting extends Supervisor {
    override async executeRoleBasedProcedure(): Promise<void> {
      looks += 1;
    }
  }
  const supervisor = new Counting({ connection: { hosts: ['127.0.0.1:1'] }, watchPath, failoverFiles: ['role'] });
  onTestFinished(() => supervisor.terminate());
  supervisor.addListener(new NotificationListener({ channel: 'jobs' })).addProcessor(new JobReader());
  await supervisor.start();
  await writeFile(join(watchPath, 'role.txt'), '');
  await writeFile(join(watchPath, 'other'), '');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(looks).toBe(0);
  await writeFile(join(watchPath, 'role'), '');
  await waitFor(() => looks > 0);
  await unlink(join(watchPath, 'role'));
});

test('many calls for the role procedure at once make no second processor', async () => {
  const { supervisor, reader } = await supervised();
  await Promise.all(Array.from({ length: 20 }, () => supervisor.executeRoleBasedProcedure()));
  await waitFor(() => supervisor.state === 'listening');
  await Promise.all(Array.from({ length: 20 }, () => supervisor.executeRoleBasedProcedure()));
  expect(reader.lives).toBe(1);
});

test('the role procedure ends a back-off', async () => {
  const { supervisor } = await supervised({ connection: { hosts: ['127.0.0.1:1'] }, backoffMs: 30_000 });
  await waitFor(() => supervisor.state === 'backoff');
  const before = supervisor.status().nextRetryAt!;
  await new Promise((resolve) => setTimeout(resolve, 20));
  await supervisor.executeRoleBasedProcedure();
  // Another attempt was made, and another back-off begun.
  expect(supervisor.status().nextRetryAt).not.toEqual(before);
});

test('the connector asks for the role on a fresh session, and opens its own when it is needed', async () => {
  const on = (port: number): PostgresConnector =>
    new PostgresConnector({ hosts: [`127.0.0.1:${port}`], ...pair.login });
  expect(await on(pair.primary.port).isServerPrimary()).toBe(true);
  expect(await on(pair.standby.port).isServerPrimary()).toBe(false);
  expect(await new PostgresConnector({ hosts: pair.hosts, ...pair.login }).isServerPrimary()).toBe(true);
  expect(await rejection(on(1).isServerPrimary())).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
  await using connector = on(pair.primary.port);
  const pid = async (): Promise<unknown> => (await connector.query('select pg_backend_pid() as pid')).rows[0]!.pid;
  const first = await pid();
  expect(await pid()).toBe(first);
  await pair.query('select pg_terminate_backend($1)', [first]);
  await waitFor(async () => (await pid().catch(() => first)) !== first);
  await connector.disconnect();
  await connector.disconnect();
  expect(await pid()).not.toBe(first);
});
