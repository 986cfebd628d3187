// The tables of a group are as large as what is in flight, not as what went through.
import { expect, test } from 'vitest';
import { NewEvent } from '../../src/streams/index.ts';
import type { TestDatabase } from '../support/database.ts';
import { freshStore } from './event-store.ts';

const TABLES = ['hv_groups', 'hv_slices', 'hv_consumers', 'hv_retries', 'hv_parked'];
const EVENTS = 8_000;
const RETRY_EVERY = 100;

async function kilobytes({ query }: TestDatabase): Promise<number> {
  const sizes = TABLES.map((table) => `pg_total_relation_size('shard0001.${table}')`).join(' + ');
  return Number((await query(`select (${sizes}) / 1024 as kb`)).rows[0].kb);
}

/** Lets all events through a group, many of them after a retry. Looks at the tables after every 1,000 settled ones. */
async function workOff(
  strategy: 'ordered' | 'roundRobin',
  look: (database: TestDatabase) => Promise<void>,
): Promise<TestDatabase> {
  const { store, database } = await freshStore();
  for (const table of TABLES) {
    await database.query(`alter table shard0001.${table} set (autovacuum_enabled = off)`);
  }
  for (let i = 0; i < EVENTS; i += 500) {
    const events = Array.from({ length: 500 }, () => new NewEvent('T', { body: { height: 10 } }));
    await store.publish(`job-${(i / 500) % 10}`, events, { shardId: 1 });
  }
  await store.createSubscription('g', '$all', { startFrom: 'beginning', retryDelayMs: 1, strategy });
  const sub = await store.connectSubscription('g', '$all', { maxInFlight: 10 });
  const settled = new Set<string>();
  for (let count = 1; settled.size < EVENTS; count++) {
    const { value: event } = await sub.next();
    if (count % RETRY_EVERY === 0) {
      await sub.nack(event, 'retry');
      continue;
    }
    await sub.ack(event);
    settled.add(event.id);
    if (settled.size % 1_000 === 0) await look(database);
  }
  await sub.close();
  return database;
}

for (const strategy of ['ordered', 'roundRobin'] as const) {
  test(`${strategy}: its tables stay small, whatever goes through it`, { timeout: 90_000 }, async () => {
    let largest = 0;
    await workOff(strategy, async (database) => {
      largest = Math.max(largest, await kilobytes(database));
      // what autovacuum does after 500 dead rows; the rows of roundRobin's runs serve again without it
      if (strategy === 'ordered') await database.query('vacuum shard0001.hv_retries');
    });
    expect(largest).toBeLessThan(2_048);
  });
}

test('ordered, never vacuumed: the retries start anew when none waits', { timeout: 90_000 }, async () => {
  let largest = 0;
  const database = await workOff('ordered', async (looked) => {
    largest = Math.max(largest, await kilobytes(looked));
  });
  expect(largest).toBeGreaterThan(600);
  expect(await kilobytes(database)).toBeLessThan(500);
});

const SETTLE = `select shard0001.hv_settle(1, gen_random_uuid(), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
  '{}', '{}', '{}', 0)`;

/** A table of retries that is mostly dead, with `alive` events that wait, and how many of them a session sees. */
async function mostlyDead(alive: number) {
  const { database } = await freshStore();
  await database.query('alter table shard0001.hv_retries set (autovacuum_enabled = off)');
  const insert = (from: number, to: number) =>
    database.query(
      `insert into shard0001.hv_retries (group_id, position, stream, event, attempts, due_at)
       select 1, n, 1, n, 1, 'infinity' from generate_series($1::bigint, $2::bigint) n`,
      [from, to],
    );
  await insert(1, 6_000);
  await database.query('delete from shard0001.hv_retries where position > $1', [alive]);
  const waiting = async (session: Pick<TestDatabase, 'query'>): Promise<number> =>
    (await session.query('select count(*)::integer as n from shard0001.hv_retries')).rows[0].n;
  const size = async (): Promise<number> =>
    Number((await database.query(`select pg_relation_size('shard0001.hv_retries') as n`)).rows[0].n);
  return { database, insert, waiting, size };
}

test('retries start anew only when none waits: an older snapshot, as of a backup, misses none', async () => {
  const { database, waiting, size } = await mostlyDead(1);
  const backup = await database.client();
  await backup.query('begin isolation level repeatable read');
  await backup.query('select 1');
  await database.query(SETTLE);
  expect(await waiting(backup)).toBe(1);
  await backup.query('commit');
  await database.query('delete from shard0001.hv_retries');
  await database.query(SETTLE);
  expect(await size()).toBe(0);
});

test('a session that sees an older state of the retries does not start them anew', async () => {
  const { database, insert, waiting } = await mostlyDead(0);
  const session = await database.client();
  await session.query('begin isolation level repeatable read');
  await session.query('select 1');
  await insert(7_000, 7_000);
  await session.query(SETTLE);
  await session.query('commit');
  expect(await waiting(database)).toBe(1);
});
