import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { moveShards, revertMoves } from '../../src/cluster/index.ts';
import { connect, NewEvent } from '../../src/streams/index.ts';
import { movableCluster } from '../support/movable-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

const SHARD = 2;

test('what lives in a shard moves with it under load: entities, own tables, streams, positions, live consumers', {
  timeout: 90_000,
}, async () => {
  const cluster = await movableCluster({ modules: ['streams'] });
  const { setting, a } = cluster;
  const directory = await mkdtemp(join(tmpdir(), 'move-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(
    join(directory, '001-orders.sql'),
    'create table orders (id bigint primary key default next_id(), number serial unique, total numeric);\n',
  );
  await cluster.migrate(directory);
  const store = await connect({ datastore: await cluster.datastore() });
  onTestFinished(() => store.close());
  const streams = Array.from({ length: 200 }, (_, n) => `orders-${n}`).filter((name) => store.shardFor(name) === SHARD);
  const names = streams.slice(0, 4);
  expect(names).toHaveLength(4);

  // History before the move, a group that has settled some of it, and consumers that stay.
  for (const name of names)
    await store.publish(
      name,
      Array.from({ length: 20 }, (_, n) => new NewEvent('Old', { body: n })),
    );
  await store.createSubscription('billing', 'orders-*', { startFrom: 'beginning', leaseMs: 2_000 });
  const group = await store.connectSubscription('billing', 'orders-*');
  const settled = new Map<string, number>();
  const working = (async () => {
    for await (const event of group.events) {
      const key = `${event.stream}@${event.eventNumber}`;
      settled.set(key, (settled.get(key) ?? 0) + 1);
      await group.ack(event);
    }
  })().catch((error: unknown) => error);
  const catchUp = await store.subscribeToAll({ startFrom: 'beginning' });
  const seen: string[] = [];
  const following = (async () => {
    for await (const event of catchUp.events)
      if (names.includes(event.stream)) seen.push(`${event.stream}@${event.eventNumber}`);
  })().catch((error: unknown) => error);

  let publishing = true;
  onTestFinished(() => {
    publishing = false;
  });
  const failures: unknown[] = [];
  const published = new Map<string, number>(names.map((name) => [name, 20]));
  const publishers = names.map(async (name) => {
    for (let n = 20; publishing; n += 1) {
      try {
        await store.publishEvent(name, 'New', { body: n });
        published.set(name, n + 1);
      } catch (error) {
        failures.push(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  });
  const writers = await startWriters({ live: setting, shards: [SHARD], writers: 4, table: 'orders', everyMs: 3 });
  const total = (): number => [...published.values()].reduce((sum, n) => sum + n, 0);
  const grown = async (by: number): Promise<void> => {
    const goal = total() + by;
    await waitFor(() => total() > goal || failures.length > 0, { timeoutMs: 20_000 });
  };
  await grown(30);
  await moveShards(setting, { shards: [SHARD], to: 'b' }, { acceptStaleReads: true });
  await grown(30);
  await revertMoves(setting);
  await grown(30);
  publishing = false;
  await Promise.all(publishers);
  expect(failures).toEqual([]);
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(await lostOf(a, 'shard0002', report)).toEqual([]);

  // Every event once and in order for the catch-up consumer, at least once for the group, and the numbers have no hole.
  const all = names.flatMap((name) => Array.from({ length: published.get(name)! }, (_, n) => `${name}@${n}`));
  await waitFor(() => seen.length >= all.length && settled.size >= all.length, {
    timeoutMs: 20_000,
    what: 'all events',
  });
  for (const name of names) {
    expect(seen.filter((event) => event.startsWith(`${name}@`))).toEqual(
      all.filter((event) => event.startsWith(`${name}@`)),
    );
  }
  expect([...settled.keys()].sort()).toEqual([...all].sort());
  const { rows } = await a.query(`
    select count(*)::int as n, max(pos)::int as last, count(distinct event)::int as events, (select head::int from shard0002.hv_sequencer) as head
    from shard0002.hv_all`);
  expect(rows[0].last).toBe(rows[0].n);
  expect(rows[0]).toMatchObject({ events: rows[0].n, head: rows[0].n });
  await group.close();
  await catchUp.unsubscribe();
  await Promise.all([working, following]);
  expect(await cluster.leftovers()).toEqual([]);
});
