// Leadership that can't be had, and leadership that was lost without anybody having told.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { applySchema } from '../../src/internal/migrations.ts';
import {
  Component,
  type ExecuteContext,
  NotificationHub,
  NotificationListener,
  notify,
  Supervisor,
} from '../../src/listen/index.ts';
import { freshDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const TTL = 600;

class Worker extends Component {
  runs = 0;
  execute(): void {
    this.runs += 1;
  }
}

function supervisorOn(
  connection: ConstructorParameters<typeof Supervisor>[0]['connection'],
  worker: Component = new Worker(),
  ttlMs = TTL,
) {
  const supervisor = new Supervisor({ connection, leader: { name: 'team', ttlMs }, backoffMs: 20 });
  onTestFinished(() => supervisor.terminate());
  return supervisor.addListener(new NotificationListener({ channel: 'jobs', payloads: true })).addProcessor(worker);
}

test('who waits for a leader where the leases are not installed is told to install them', async () => {
  const { connection } = await freshDatabase();
  const missing = { code: 'SCHEMA', message: expect.stringMatching(/hypervault init/) };
  expect(await rejection(supervisorOn(connection).start({ waitFor: 'listening' }))).toMatchObject(missing);

  // also when the server was away at first
  const proxy = await startProxy({ port: connection.port });
  await proxy.refuse();
  const late = supervisorOn({ ...connection, host: '127.0.0.1', port: proxy.port });
  const errors: unknown[] = [];
  late.on('error', ({ component, error }) => component === 'leader' && errors.push(error));
  const started = rejection(late.start({ waitFor: 'listening' }));
  await waitFor(() => errors.length === 1);
  await proxy.restore();
  expect(await started).toMatchObject(missing);
  expect(errors).toHaveLength(2);
});

test('a leader that was stopped for longer than its term begins no run of what came meanwhile', {
  timeout: 60_000,
}, async () => {
  const database = await freshDatabase();
  await applySchema(await database.client(), { module: 'listen', scope: 'control', schema: 'hypervault' });
  const file = join(import.meta.dirname, 'leader-process.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', file, JSON.stringify(database.connection), String(TTL)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  await waitFor(() => lines.includes('listening') && lines.some((line) => line.startsWith('run')), {
    timeoutMs: 20_000,
  });
  const worker = new Worker();
  await supervisorOn(database.connection, worker).start();
  child.kill('SIGSTOP');
  await waitFor(() => worker.runs > 0, { timeoutMs: 20_000, what: 'the other one leads' });
  const before = worker.runs;
  const client = await database.client();
  for (const payload of ['1', '2', '3']) await notify(client, 'jobs', payload);
  await waitFor(() => worker.runs > before);
  const runs = lines.length;
  child.kill('SIGCONT');
  await waitFor(() => lines.slice(runs).includes('standby'), { timeoutMs: 20_000 });
  expect(lines.slice(runs).filter((line) => line.startsWith('run'))).toEqual([]);
});

test('no run begins after the term is over, though more waits and nothing was stopped yet', async () => {
  const database = await freshDatabase();
  await applySchema(await database.client(), { module: 'listen', scope: 'control', schema: 'hypervault' });
  const epochs: (bigint | undefined)[] = [];
  let held = false;
  class Slow extends Component {
    execute(_pre: unknown, { epoch, signal, notifications }: ExecuteContext): Promise<void> | undefined {
      epochs.push(epoch);
      if (notifications.length === 0 || held) return undefined;
      held = true;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
  }
  // long enough for a busy machine to renew it
  const supervisor = supervisorOn(database.connection, new Slow(), 3_000);
  await supervisor.start({ waitFor: 'listening' });
  const client = await database.client();
  await notify(client, 'jobs', '1');
  await waitFor(() => held);
  await notify(client, 'jobs', '2');
  await waitFor(() => supervisor.status().processors[0]!.waiting === 1);
  const before = epochs.length;
  await client.query('begin');
  await client.query('select from hypervault.leases for update');
  await waitFor(() => supervisor.state === 'standby');
  expect(epochs).toHaveLength(before);
  await client.query('rollback');
  await waitFor(() => epochs.length > before);
  expect(epochs.every((epoch) => epoch !== undefined)).toBe(true);
});

test('a subscription given up while LISTEN is on its way leaves no channel behind', async () => {
  const database = await freshDatabase();
  const proxy = await startProxy({ port: database.connection.port });
  const hub = new NotificationHub({ ...database.connection, host: '127.0.0.1', port: proxy.port });
  onTestFinished(() => hub.close());
  await hub.subscribe('kept', () => {}).ready();
  proxy.delay(50);
  const given = hub.subscribe('given_up', () => {});
  const meanwhile = given.close();
  await meanwhile;
  const channels = async (): Promise<string[]> =>
    (
      await database.query(
        `select query from pg_stat_activity where datname = current_database() and query ilike '%listen%given_up%' and pid <> pg_backend_pid()`,
      )
    ).rows.map(({ query }) => query);
  await waitFor(async () => (await channels()).some((query) => /unlisten/i.test(query)));
});
