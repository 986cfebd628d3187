// Two things at once that share a fact: each is held at the moment in which the other one could spoil it.
import { expect, test } from 'vitest';
import { linkTo, NewEvent } from '../../src/streams/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { freshStore, waitingForLocks } from './event-store.ts';

const SHARD = 'shard0001';
const numbered = (count: number): NewEvent[] => Array.from({ length: count }, (_, body) => new NewEvent('T', { body }));

test('events are not removed beside a pass that is giving them positions', async () => {
  const { store, database } = await freshStore();
  await database.query(
    `select from generate_series(1, 5) n, ${SHARD}.hv_append_event('s', gen_random_uuid(), 'T', n::text, null, null)`,
  );
  const session = await database.client();
  await session.query('begin');
  expect((await session.query(`select given from ${SHARD}.hv_sequence()`)).rows[0].given).toBe(5);
  await database.query(`select ${SHARD}.hv_set_retention('s', 5, null, null)`);
  await database.query(`select * from ${SHARD}.hv_scavenge(0, 100)`);
  await session.query('commit');
  const orphans = `select from ${SHARD}.hv_all a where not exists (select from ${SHARD}.hv_events e where e.id = a.event)`;
  expect((await database.query(orphans)).rows).toHaveLength(0);
  expect(await store.scavenge()).toBe(5);
  expect((await database.query(`select from ${SHARD}.hv_all`)).rows).toHaveLength(0);
});

test('a position says of no shard that more was read than was given out, also while links are looked up', async () => {
  const here = await freshStore();
  const { store, database } = here;
  const target = ['t', 'u', 'v', 'w', 'x', 'y', 'z'].find((name) => store.shardFor(name) > 2)!;
  await store.publishEvent(target, 'T', { body: '"target"' });
  const all = await store.subscribeToAll({ startFrom: 'end', shards: [1, 2] });
  await waitFor(() => all.isLive);
  const lock = await database.client();
  await lock.query('begin');
  await lock.query(`lock table shard000${store.shardFor(target)}.hv_events in access exclusive mode`);
  await store.publish('one', [linkTo({ stream: target, eventNumber: 0n })], { shardId: 1 });
  await waitFor(async () => (await waitingForLocks({ database })) > 0);
  await store.publishEvent('two', 'T', { body: '"other"', shardId: 2 });
  const { value: first } = await all.next();
  expect(first.json()).toBe('other');
  expect(first.position!.of(1)).toBe(0n);
  await lock.query('commit');
  const { value: second } = await all.next();
  expect(second.json()).toBe('target');
  expect(second.position!.toString()).toBe('1:1,2:1');
});

test('a group whose making was interrupted begins in every shard where it was to begin', async () => {
  const { store, database } = await freshStore();
  for (const shardId of [1, 2, 3]) await store.publish(`old-${shardId}`, numbered(2), { shardId });
  await store.createSubscription('g', '$all');
  for (const shardId of [2, 3, 4]) await database.query(`select shard000${shardId}.hv_group_delete('g', '$all')`);
  const sub = await store.connectSubscription('g', '$all');
  for (const shardId of [1, 2, 3]) await store.publish(`new-${shardId}`, [new NewEvent('T', { body: 9 })], { shardId });
  for (let i = 0; i < 3; i++) {
    const { value: event } = await sub.next();
    expect(event.json()).toBe(9);
    await sub.ack(event);
  }
  await sub.close();
});

test('settings changed at once by two are both kept', async () => {
  const { store, database } = await freshStore();
  await store.createSubscription('g', 's');
  const lock = await database.client();
  await lock.query('begin');
  await lock.query(`select from shard000${store.shardFor('s')}.hv_groups for update`);
  const changes = [
    store.updateSubscription('g', 's', { timeoutMs: 1_234 }),
    store.updateSubscription('g', 's', { maxRetryCount: 5, maxSubscriberCount: 3 }),
  ];
  await waitFor(async () => (await waitingForLocks({ database })) > 0);
  await lock.query('commit');
  await Promise.all(changes);
  const { rows } = await database.query(
    `select settings, max_subscribers from shard000${store.shardFor('s')}.hv_groups`,
  );
  expect(rows[0]).toMatchObject({
    settings: { timeoutMs: 1_234, maxRetryCount: 5, maxSubscriberCount: 3 },
    max_subscribers: 3,
  });
});
