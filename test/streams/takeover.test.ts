// One consumer takes over from another one that is slow, stopped or in the middle of a transaction.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { NewEvent } from '../../src/streams/index.ts';
import type { TestDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait-for.ts';
import { freshStore } from './event-store.ts';

const SHARD = 'shard0001';
const numbered = (count: number): NewEvent[] => Array.from({ length: count }, (_, body) => new NewEvent('T', { body }));

/** The functions of a group as consumers call them, one by one. */
async function bareGroup(strategy: 'ordered' | 'roundRobin'): Promise<{
  database: TestDatabase;
  id: string;
  beat(consumer: string, leaseMs?: number): Promise<{ slice: number; pos: string; term: string; shed: boolean }[]>;
  claim(consumer: string, slices: number[] | null): Promise<string[]>;
  settle(consumer: string, slice: number, term: string, position: number, retry?: number): Promise<void>;
}> {
  const { store, database } = await freshStore();
  await store.publish('job-1', numbered(10), { shardId: 1 });
  await store.createSubscription('g', '$all', { startFrom: 'beginning', strategy, partitions: 1 });
  await store.getAll();
  const { rows } = await database.query(`select id from ${SHARD}.hv_groups`);
  const id: string = rows[0].id;
  const event = (await database.query(`select event from ${SHARD}.hv_all where pos = 1`)).rows[0].event;
  return {
    database,
    id,
    beat: async (consumer, leaseMs = 60_000) =>
      (
        await database.query(`select slice, pos, term, shed from ${SHARD}.hv_beat($1, $2, 'x', $3)`, [
          id,
          consumer,
          leaseMs,
        ])
      ).rows,
    claim: async (consumer, slices) =>
      (
        await database.query(`select pos from ${SHARD}.hv_claim($1, $2, $3, 60000, 100)`, [id, consumer, slices])
      ).rows.map(({ pos }) => pos),
    settle: async (consumer, slice, term, position, retry) => {
      const one = <T>(value: T): T[] => (retry === undefined ? [] : [value]);
      await database.query(
        `select ${SHARD}.hv_settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '{}', '{}', '{}', '{}', '{}', '{}', 1)`,
        [id, consumer, [slice], [term], [position], one(slice), one(retry), one(event), one(1), one(0), one('again')],
      );
    },
  };
}

test('a consumer that was paused for longer than its lease claims no retries of a slice that has gone on', async () => {
  const group = await bareGroup('ordered');
  const [paused, other] = [randomUUID(), randomUUID()];
  const [slice] = await group.beat(paused, 1);
  await group.settle(paused, 0, slice!.term, 1, 1);
  await waitFor(async () => (await group.beat(other))[0]?.slice === 0);
  expect(await group.claim(paused, [0])).toEqual([]);
  expect(await group.claim(other, [0])).toEqual(['1']);
});

test('a retried event in hand stays its consumer’s when the slice is given back, until its lease is over', async () => {
  const group = await bareGroup('ordered');
  const [first, second] = [randomUUID(), randomUUID()];
  const [slice] = await group.beat(first);
  await group.settle(first, 0, slice!.term, 1, 1);
  expect(await group.claim(first, [0])).toEqual(['1']);
  await group.beat(second);
  await group.database.query(`update ${SHARD}.hv_slices set owner = $1, term = term + 1`, [second]);
  expect(await group.claim(second, [0])).toEqual([]);
  await group.database.query(`update ${SHARD}.hv_retries set expires_at = now() - interval '1 ms'`);
  expect(await group.claim(second, [0])).toEqual(['1']);
});

test('a consumer that stands still between its checkpoint and the commit keeps no other one from its signs of life', async () => {
  const group = await bareGroup('ordered');
  const [still, other] = [randomUUID(), randomUUID()];
  const [slice] = await group.beat(still, 1);
  const session = await group.database.client();
  await session.query('begin');
  await session.query(`select ${SHARD}.hv_settle_within($1, $2, 0, $3, 1, 1)`, [group.id, still, slice!.term]);
  const observer = await group.database.client();
  await observer.query('set statement_timeout = 2000');
  const beat = `select slice from ${SHARD}.hv_beat($1, $2, 'x', 60000)`;
  await waitFor(async () => (await observer.query(beat, [group.id, other])).rows.length === 1);
  expect((await observer.query(beat, [group.id, other])).rows).toEqual([{ slice: null }]);
  await observer.query(`select ${SHARD}.hv_release($1, $2, '{}', true)`, [group.id, other]);
  await session.query('rollback');
  await waitFor(async () => (await observer.query(beat, [group.id, other])).rows[0].slice === 0);
});

test('roundRobin: a run that its late owner has just finished is not given to anybody else', async () => {
  const group = await bareGroup('roundRobin');
  const [late, other] = [randomUUID(), randomUUID()];
  const cut = (consumer: string, leaseMs: number): Promise<{ rows: { pos: string; upto: string; term: string }[] }> =>
    group.database.query(`select pos, upto, term from ${SHARD}.hv_cut($1, $2, $3, 5)`, [group.id, consumer, leaseMs]);
  const { term, upto } = (await cut(late, 1)).rows[0]!;
  const session = await group.database.client();
  await session.query('begin');
  await session.query(`select ${SHARD}.hv_settle_within($1, $2, 0, $3, $4, $4)`, [group.id, late, term, upto]);
  const next = cut(other, 60_000);
  await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 300))]);
  await session.query('commit');
  expect((await next).rows[0]).toMatchObject({ pos: '5', upto: '10' });
});

function consumerProcess(args: string[]): { child: ChildProcess; lines: string[] } {
  const file = join(import.meta.dirname, 'consumer-process.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  return { child, lines };
}

for (const strategy of ['ordered', 'roundRobin'] as const) {
  test(`${strategy}: a consumer process that was stopped for longer than its lease handles nothing of what went on`, {
    timeout: 60_000,
  }, async () => {
    const { store, database } = await freshStore();
    const total = 2_000;
    await store.createSubscription('g', '$all', { startFrom: 'beginning', leaseMs: 500, strategy, partitions: 2 });
    await store.publish('job-1', numbered(total), { shardId: 1 });
    const proxy = await startProxy({ port: database.connection.port });
    const connection = { ...database.connection, host: '127.0.0.1', port: proxy.port, shards: '1-5' };
    const { child, lines } = consumerProcess([JSON.stringify(connection), 'g', '$all', '-', '3']);
    await waitFor(() => lines.length > 50, { timeoutMs: 20_000 });
    child.kill('SIGSTOP');
    const before = new Set(lines);
    const bodies = new Set<string>();
    const sub = await store.connectSubscription('g', '$all');
    const work = (async () => {
      for await (const event of sub.events) {
        bodies.add(String(event.json()));
        await sub.ack(event);
      }
    })();
    const all = (): boolean => new Set([...lines, ...bodies]).size >= total + 1;
    await waitFor(all, { timeoutMs: 20_000, what: 'everything handled by the other consumer' });
    await sub.flush();
    const twice = (): string[] => lines.filter((line) => bodies.has(line));
    const known = twice().length;
    // what it asks the shard is answered late
    proxy.delay(150);
    const stopped = lines.length;
    child.kill('SIGCONT');
    await store.publish('job-1', [new NewEvent('T', { body: '"over"' }), new NewEvent('T', { body: '"over"' })], {
      shardId: 1,
    });
    await waitFor(() => lines.includes('over') || bodies.has('over'), { timeoutMs: 20_000 });
    await waitFor(async () => (await store.subscriptionStats('g', '$all')).lag === 0n, { timeoutMs: 20_000 });
    // one may have been on its way to the handler when the process was stopped
    expect(twice().length - known).toBeLessThanOrEqual(1);
    expect(lines.slice(stopped).filter((line) => bodies.has(line)).length).toBeLessThanOrEqual(1);
    expect(before.size).toBeGreaterThan(50);
    await sub.close();
    await work;
  });
}
