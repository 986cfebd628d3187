// Behind a pooler in transaction mode LISTEN succeeds and nothing arrives: it must be found out, and polled instead.
import { expect, onTestFinished, test } from 'vitest';
import { Component, NotificationHub, NotificationListener, Supervisor } from '../../src/listen/index.ts';
import { freshDatabase } from '../support/database.ts';
import { startPgbouncer } from '../support/pgbouncer.ts';
import { findTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const missing = findTool('pgbouncer') === undefined;

test.skipIf(missing)('in transaction mode the hub polls', async () => {
  const database = await freshDatabase();
  const pooler = (await startPgbouncer(database.connection))!;
  const hub = new NotificationHub(pooler.connection, { pollMs: 50 });
  onTestFinished(() => hub.close());
  const reasons: string[] = [];
  await hub.subscribe('jobs', () => {}, { onCatchUp: ({ reason }) => reasons.push(reason) }).ready();
  expect(hub.status()).toMatchObject({ state: 'listening', mode: 'polling' });
  await waitFor(() => reasons.length >= 3);
  expect(reasons.slice(0, 3)).toEqual(['start', 'poll', 'poll']);
});

test.skipIf(missing)('in session mode notifications come through', async () => {
  const database = await freshDatabase();
  const pooler = (await startPgbouncer(database.connection, { settings: { pool_mode: 'session' } }))!;
  const hub = new NotificationHub(pooler.connection);
  onTestFinished(() => hub.close());
  const seen: string[] = [];
  await hub.subscribe('jobs', ({ payload }) => seen.push(payload)).ready();
  expect(hub.status().mode).toBe('listening');
  await database.query(`select pg_notify('jobs', 'through')`);
  await waitFor(() => seen.length === 1);
});

test.skipIf(missing)('a supervisor works off rows by polling, and lives through a restart of the pooler', async () => {
  const database = await freshDatabase();
  await database.query('create table jobs (id int primary key)');
  const pooler = (await startPgbouncer(database.connection))!;
  const seen = new Set<number>();
  class Reader extends Component {
    async execute(): Promise<void> {
      for (const { id } of (await database.query('select id from jobs')).rows) seen.add(id);
    }
  }
  const supervisor = new Supervisor({ connection: pooler.connection, pollMs: 50 });
  onTestFinished(() => supervisor.terminate());
  supervisor.addListener(new NotificationListener({ channel: 'jobs' })).addProcessor(new Reader());
  await supervisor.start({ waitFor: 'listening' });
  await database.query('insert into jobs values (1)');
  await waitFor(() => seen.has(1));
  await pooler.kill();
  await waitFor(() => supervisor.state !== 'listening');
  await database.query('insert into jobs values (2)');
  await pooler.start();
  await waitFor(() => seen.has(2), { timeoutMs: 3_000 });
});
