import { expect, test } from 'vitest';
import { NewEvent, type Subscription } from '../../src/streams/index.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore, openStore } from './event-store.ts';

const numbered = (count: number, from = 0): NewEvent[] =>
  Array.from({ length: count }, (_, i) => new NewEvent('T', { body: from + i }));

/** Collects what a subscription gives, in the background. */
function collect(subscription: Subscription): { items: unknown[]; streams: string[]; done: Promise<unknown> } {
  const items: unknown[] = [];
  const streams: string[] = [];
  const done = (async () => {
    for await (const event of subscription.events) {
      items.push(event.json());
      streams.push(event.stream);
    }
    return 'ended';
  })().catch((error: unknown) => error);
  return { items, streams, done };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('history, then what is new, without a seam', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(250));
  const live = await store.subscribeTo('s', { startFrom: 0n, batchSize: 20 });
  const seen = collect(live);
  for (let i = 250; i < 500; i++) await store.publishEvent('s', 'T', { body: i });
  await waitFor(() => seen.items.length === 500);
  expect(seen.items).toEqual(upTo(500));
  expect(live.lastEventNumber).toBe(499n);
  await waitFor(() => live.isLive);
  await live.unsubscribe();
  expect(await seen.done).toBe('ended');
  expect(live.isComplete).toBe(true);
});

test('volatile: only what is new, also of a stream that is not there yet', async () => {
  const { store } = await freshStore();
  await store.publish('old', numbered(5));
  const old = collect(await store.subscribeTo('old'));
  const fresh = collect(await store.subscribeTo('fresh'));
  await store.publish('old', numbered(3, 5));
  await store.publish('fresh', numbered(2));
  await waitFor(() => old.items.length === 3 && fresh.items.length === 2);
  expect(old.items).toEqual([5, 6, 7]);
  expect(fresh.items).toEqual([0, 1]);
});

test('history of a stream that is not there is an error at once', async () => {
  const { store } = await freshStore();
  expect(await rejection(store.subscribeTo('no', { startFrom: 0n }))).toMatchObject({ code: 'STREAM_NOT_FOUND' });
});

test('leaving the loop gives the subscription up', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(10));
  const live = await store.subscribeTo('s', { startFrom: 7n });
  for await (const event of live.events) if (event.eventNumber === 8n) break;
  expect(live.isComplete).toBe(true);
  expect(store.stats().subscriptions).toBe(0);
});

test('all events: history merged, then live, from another process too', async () => {
  const { store, database } = await freshStore();
  for (let i = 0; i < 30; i++) await store.publishEvent(`order-${i % 5}`, 'T', { body: i });
  const all = collect(await store.subscribeToAll({ startFrom: 'beginning', batchSize: 7 }));
  const orders = collect(await store.subscribeTo('order-*', { startFrom: 'beginning' }));
  const ponies = collect(await store.subscribeToAll({ category: 'pony' }));
  const other = await openStore([{ ...database.connection, shards: '1-5' }]);
  for (let i = 30; i < 60; i++) {
    await other.store.publishEvent(`order-${i % 5}`, 'T', { body: i });
    await other.store.publishEvent('pony-1', 'T', { body: i });
  }
  await waitFor(() => all.items.length === 90 && orders.items.length === 60 && ponies.items.length === 30);
  expect([...all.items.slice(0, 30)].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(30));
  expect([...orders.items].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(60));
  expect(ponies.items).toEqual(upTo(60).slice(30));
  for (let s = 0; s < 5; s++) {
    const own = orders.items.filter((_, i) => orders.streams[i] === `order-${s}`);
    expect(own).toEqual([...own].sort((a, b) => Number(a) - Number(b)));
  }
});

test('a subscription goes on where an earlier one stood', async () => {
  const { store } = await freshStore();
  for (let i = 0; i < 20; i++) await store.publishEvent(`order-${i % 5}`, 'T', { body: i });
  const first = await store.subscribeToAll({ startFrom: 'beginning' });
  const seen: unknown[] = [];
  for (let i = 0; i < 12; i++) seen.push((await first.next()).value!.json());
  const position = first.position!.toString();
  await first.unsubscribe();
  const second = await store.subscribeToAll({ startFrom: position });
  for (let i = 0; i < 8; i++) seen.push((await second.next()).value!.json());
  expect([...seen].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(20));
});

test('a consumer that is slow reads by pages and catches up, in bounded memory', async () => {
  const { store } = await freshStore();
  await store.publishEvent('s', 'T', { body: 0 });
  const live = await store.subscribeTo('s', { startFrom: 0n, batchSize: 5 });
  const all = await store.subscribeToAll({ startFrom: 'beginning', batchSize: 5 });
  await live.next();
  await all.next();
  await waitFor(() => live.isLive && all.isLive);
  for (let i = 1; i < 500; i += 100) await store.publish('s', numbered(100, i));
  await waitFor(() => !live.isLive && !all.isLive);
  for (let i = 1; i <= 500; i++) {
    expect((await live.next()).value!.json()).toBe(i);
    expect((await all.next()).value!.json()).toBe(i);
  }
  await waitFor(() => live.isLive && all.isLive);
  await store.publishEvent('s', 'T', { body: '"last"' });
  expect((await live.next()).value!.json()).toBe('last');
  expect((await all.next()).value!.json()).toBe('last');
});

test('a stream deleted for good drops its subscribers, after what they had', async () => {
  const { store } = await freshStore();
  // Many more than fit into the buffer: it has to read again, whenever the deletion comes.
  await store.publish('s', numbered(100));
  const live = await store.subscribeTo('s', { startFrom: 0n, batchSize: 2 });
  await live.next();
  await store.deleteStream('s', { hard: true });
  const seen = collect(live);
  expect(await seen.done).toMatchObject({ code: 'SUBSCRIPTION_FAILED', reason: 'StreamDeleted', stream: 's' });
});

test('closing the store settles everything that is pending', async () => {
  const { store } = await freshStore();
  await store.publishEvent('s', 'T', { body: 0 });
  const live = await store.subscribeTo('s', { startFrom: 0n });
  const all = await store.subscribeToAll();
  await live.next();
  const waiting = [rejection(live.next()), rejection(all.next())];
  const appends = Array.from({ length: 50 }, (_, i) =>
    store.publishEvent(`a-${i}`, 'T').catch((error: Error) => error),
  );
  await store.close();
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'CLOSED' });
  for (const outcome of await Promise.all(appends)) {
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'CLOSED' });
  }
  expect(await live.next()).toEqual({ done: true, value: undefined });
  expect(await rejection(store.get('s'))).toMatchObject({ code: 'CLOSED' });
  await store.close();
});

test('a logger hears of each session that was lost and came back, and of nothing else', async () => {
  const lines: { readonly fields: Record<string, unknown>; readonly message: string }[] = [];
  const take = (fields: object, message: string): void => {
    lines.push({ fields: { ...fields }, message });
  };
  const { store, database } = await freshStore({ logger: { debug: take, warn: take } });
  await store.subscribeToAll();
  const states = (): unknown[] =>
    lines.filter(({ message }) => message === 'the session that listens').map(({ fields }) => fields.to);
  await waitFor(() => states().includes('listening'), { what: 'listening' });
  const before = states().length;
  await store.publishEvent('s', 'T');
  expect(states()).toHaveLength(before);
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await waitFor(() => states().slice(before).includes('listening'), { what: 'listening again' });
  expect(lines.every(({ fields }) => !JSON.stringify(fields).includes(database.connection.password))).toBe(true);
});
