import { expect, test } from 'vitest';
import { NewEvent, type PersistentSubscription, type RecordedEvent } from '../../src/streams/index.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore, openStore, take } from './event-store.ts';

const numbered = (count: number, from = 0): NewEvent[] =>
  Array.from({ length: count }, (_, i) => new NewEvent('T', { body: from + i }));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const sorted = (items: readonly unknown[]): unknown[] => [...items].sort((a, b) => Number(a) - Number(b));

/** Works off whatever comes, in the background. */
function work(
  sub: PersistentSubscription,
  each: (event: RecordedEvent) => Promise<unknown> = (event) => sub.ack(event),
): { items: unknown[]; streams: string[]; done: Promise<unknown> } {
  const items: unknown[] = [];
  const streams: string[] = [];
  const done = (async () => {
    for await (const event of sub.events) {
      items.push(event.json());
      streams.push(event.stream);
      await each(event);
    }
    return 'ended';
  })().catch((error: unknown) => error);
  return { items, streams, done };
}

test('a group goes through a stream, and a consumer that comes back goes on where the group was', async () => {
  const { store } = await freshStore();
  await store.publish('ponies', numbered(50));
  await store.createSubscription('mailer', 'ponies', { startFrom: 0n });
  const first = await store.connectSubscription('mailer', 'ponies');
  const some = await take(
    (async function* () {
      for await (const event of first.events) {
        await first.ack(event);
        yield event.json();
      }
    })(),
    20,
  );
  expect(some).toEqual(upTo(20));
  await first.close();
  const second = await store.connectSubscription('mailer', 'ponies');
  const seen = work(second);
  await store.publish('ponies', numbered(10, 50));
  await waitFor(() => seen.items.length === 40);
  expect(seen.items).toEqual(upTo(60).slice(20));
  await second.close();
  expect(await seen.done).toBe('ended');
  const stats = await store.subscriptionStats('mailer', 'ponies');
  expect(stats).toMatchObject({ lag: 0n, settled: 60n, parked: 0, retrying: 0, consumers: 0, strategy: 'ordered' });
});

test('without a start only what is new is delivered; groups are independent', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(5));
  await store.createSubscription('new', 's');
  await store.createSubscription('all', 's', { startFrom: 'beginning' });
  await store.createSubscription('later', 'not-yet');
  const fresh = work(await store.connectSubscription('new', 's'));
  const all = work(await store.connectSubscription('all', 's'));
  const later = work(await store.connectSubscription('later', 'not-yet'));
  await store.publish('s', numbered(2, 5));
  await store.publish('not-yet', numbered(2));
  await waitFor(() => fresh.items.length === 2 && all.items.length === 7 && later.items.length === 2);
  expect(fresh.items).toEqual([5, 6]);
  expect(all.items).toEqual(upTo(7));
});

test('no more than maxInFlight events are in hand', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(30));
  await store.createSubscription('g', 's', { startFrom: 0n });
  const sub = await store.connectSubscription('g', 's', { maxInFlight: 10 });
  const inHand: RecordedEvent[] = [];
  for (let i = 0; i < 10; i++) inHand.push((await sub.next()).value!);
  const eleventh = sub.next();
  const early = await Promise.race([eleventh.then(() => 'given'), new Promise((r) => setTimeout(r, 200, 'waits'))]);
  expect(early).toBe('waits');
  await sub.ack(inHand[0]!);
  expect((await eleventh).value!.json()).toBe(10);
  expect(sub.stats()).toMatchObject({ inHand: 10 });
});

test('competing consumers share a category: each event once, every stream in order', async () => {
  const { store, database } = await freshStore();
  await store.createSubscription('g', 'order-*', { startFrom: 'beginning', leaseMs: 600 });
  const other = await openStore([{ ...database.connection, shards: '1-5' }]);
  const one = work(await store.connectSubscription('g', 'order-*', { label: 'one' }));
  const two = work(await other.store.connectSubscription('g', 'order-*', { label: 'two' }));
  await waitFor(async () => {
    const stats = await store.subscriptionStats('g', 'order-*');
    return stats.shards.every(
      ({ consumers }) => consumers.length === 2 && consumers.every(({ slices }) => slices === 4),
    );
  });
  await Promise.all(upTo(600).map((i) => store.publishEvent(`order-${i % 40}`, 'T', { body: i })));
  await waitFor(() => one.items.length + two.items.length >= 600);
  expect(sorted([...one.items, ...two.items])).toEqual(upTo(600));
  expect(one.items.length).toBeGreaterThan(50);
  expect(two.items.length).toBeGreaterThan(50);
  const shared = new Set(one.streams);
  expect(two.streams.filter((stream) => shared.has(stream))).toEqual([]);
  for (const { items, streams } of [one, two]) {
    for (const stream of new Set(streams)) {
      const own = items.filter((_, i) => streams[i] === stream);
      expect(own).toEqual(sorted(own));
    }
  }
});

test('roundRobin deals one stream out to all consumers', async () => {
  const { store } = await freshStore();
  await store.createSubscription('g', 's', { startFrom: 0n, strategy: 'roundRobin' });
  const subs = [await store.connectSubscription('g', 's'), await store.connectSubscription('g', 's')] as const;
  const stuck = await store.connectSubscription('g', 's', { maxInFlight: 5 });
  await store.publish('s', numbered(20));
  const held: RecordedEvent[] = [];
  for (let i = 0; i < 5; i++) held.push((await stuck.next()).value!);
  const seen = subs.map((sub) =>
    work(sub, async (event) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return sub.ack(event);
    }),
  );
  for (let i = 20; i < 400; i += 20) await store.publish('s', numbered(20, i));
  await waitFor(() => seen[0]!.items.length + seen[1]!.items.length === 395);
  // the one that is stuck holds what it has in hand, and nothing else
  const all = [...seen[0]!.items, ...seen[1]!.items, ...held.map((event) => event.json())];
  expect(sorted(all)).toEqual(upTo(400));
  expect(seen[0]!.items.length).toBeGreaterThan(20);
  expect(seen[1]!.items.length).toBeGreaterThan(20);
});

test('dispatchToSingle: one works, another one takes over', async () => {
  const { store } = await freshStore();
  await store.createSubscription('g', 's', { startFrom: 0n, strategy: 'dispatchToSingle', leaseMs: 600 });
  const first = await store.connectSubscription('g', 's');
  const one = work(first);
  const two = work(await store.connectSubscription('g', 's'));
  await store.publish('s', numbered(50));
  await waitFor(() => one.items.length === 50);
  await first.close();
  await store.publish('s', numbered(50, 50));
  await waitFor(() => two.items.length === 50);
  expect(two.items).toEqual(upTo(100).slice(50));
});

test('an event that fails is tried again, its stream waits for it, others go on, and at last it is parked', async () => {
  const { store } = await freshStore();
  await store.createSubscription('g', 'order-*', { startFrom: 'beginning', maxRetryCount: 2, retryDelayMs: 30 });
  const sub = await store.connectSubscription('g', 'order-*');
  const tries: number[] = [];
  const seen = work(sub, async (event) => {
    if (event.json() !== 3) return sub.ack(event);
    tries.push(event.retryCount);
    return sub.nack(event, 'retry', { reason: 'it breaks' });
  });
  for (let i = 0; i < 20; i++) await store.publishEvent(`order-${i % 2}`, 'T', { body: i });
  await waitFor(() => seen.items.length === 22);
  expect(tries).toEqual([0, 1, 2]);
  const odd = seen.items.filter((_, i) => seen.streams[i] === 'order-1');
  expect(odd).toEqual([1, 3, 3, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  const even = seen.items.filter((_, i) => seen.streams[i] === 'order-0');
  expect(even).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  await sub.flush();
  const [parked] = await take(store.parked('g', 'order-*'), 10);
  expect(parked).toMatchObject({ attempts: 3, reason: 'it breaks' });
  expect(parked!.event.json()).toBe(3);
  expect(await store.subscriptionStats('g', 'order-*')).toMatchObject({ parked: 1, retrying: 0 });

  expect(await store.replayParked('g', 'order-*', { events: [parked!] })).toBe(1);
  await waitFor(() => tries.length === 6);
  await waitFor(async () => (await store.subscriptionStats('g', 'order-*')).parked === 1);
  expect(await store.discardParked('g', 'order-*')).toBe(1);
  expect(await take(store.parked('g', 'order-*'), 10)).toEqual([]);
});

test('park, skip and replay of some', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(10));
  await store.createSubscription('g', 's', { startFrom: 0n });
  const sub = await store.connectSubscription('g', 's');
  const seen = work(sub, (event) => sub.nack(event, event.eventNumber < 6n ? 'park' : 'skip', { reason: 'later' }));
  await waitFor(() => seen.items.length === 10);
  await sub.flush();
  expect(await store.subscriptionStats('g', 's')).toMatchObject({ parked: 6, lag: 0n, settled: 10n });
  expect(await store.replayParked('g', 's', { maxCount: 2 })).toBe(2);
  await waitFor(() => seen.items.length === 12);
  expect(seen.items.slice(10)).toEqual([0, 1]);
  expect(await rejection(sub.nack(await store.getEvent('s', 0n)))).toMatchObject({ code: 'FOREIGN_EVENT' });
});

test('an event that is too long in hand comes again, and a late ack says so', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(3));
  await store.createSubscription('g', 's', { startFrom: 0n, timeoutMs: 150 });
  const sub = await store.connectSubscription('g', 's', { maxInFlight: 1 });
  const first = (await sub.next()).value!;
  const again = (await sub.next()).value!;
  expect([first.json(), again.json(), again.retryCount]).toEqual([0, 0, 1]);
  expect(await sub.ack(first)).toBe(false);
  expect(await sub.ack(again)).toBe(true);
  expect((await sub.next()).value!.json()).toBe(1);
});

test('stop gives the event back and closes', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(3));
  await store.createSubscription('g', 's', { startFrom: 0n });
  const sub = await store.connectSubscription('g', 's');
  const event = (await sub.next()).value!;
  expect(await sub.nack(event, 'stop')).toBe(true);
  expect(await sub.next()).toEqual({ done: true, value: undefined });
  const next = await store.connectSubscription('g', 's');
  const back = (await next.next()).value!;
  expect([back.json(), back.retryCount]).toEqual([0, 0]);
});

test('exactly once: the event is settled in the transaction of its handler', async () => {
  const { store, database } = await freshStore();
  const shardId = store.shardFor('s');
  const schema = `shard000${shardId}`;
  await database.query(`create table ${schema}.totals (body int primary key)`);
  await store.publish('s', numbered(30));
  await store.createSubscription('g', 's', { startFrom: 0n, retryDelayMs: 5 });
  const sub = await store.connectSubscription('g', 's', { maxInFlight: 3 });
  let failed = 0;
  const workers = [1, 2, 3].map(async () => {
    for (;;) {
      const { value: event, done } = await sub.next();
      if (done) return;
      try {
        await sub.transaction(event, async (cursor) => {
          await cursor.query('insert into totals (body) values ($1)', [event.json()]);
          if (event.json<number>() % 7 === 3 && failed++ % 2 === 0) throw new Error('once');
        });
      } catch {
        await sub.nack(event, 'retry');
      }
    }
  });
  await waitFor(async () => (await database.query(`select 1 from ${schema}.totals`)).rows.length === 30);
  await sub.close();
  await Promise.all(workers);
  expect(await store.subscriptionStats('g', 's')).toMatchObject({ lag: 0n, retrying: 0, parked: 0 });
  const again = await store.connectSubscription('g', 's');
  await store.publishEvent('s', 'T', { body: 99 });
  expect((await again.next()).value!.json()).toBe(99);
});

test('typed refusals', async () => {
  const { store } = await freshStore();
  await store.createSubscription('g', 's', { maxSubscriberCount: 1 });
  expect(await rejection(store.createSubscription('g', 's'))).toMatchObject({
    code: 'SUBSCRIPTION_CREATION_FAILED',
    reason: 'AlreadyExists',
    stream: 's',
  });
  expect(await rejection(store.connectSubscription('no', 's'))).toMatchObject({ reason: 'NotFound' });
  expect(await rejection(store.deleteSubscription('no', 's'))).toMatchObject({ reason: 'NotFound' });
  expect(await rejection(store.updateSubscription('no', 's', {}))).toMatchObject({ reason: 'NotFound' });
  const sub = await store.connectSubscription('g', 's');
  expect(await rejection(store.connectSubscription('g', 's'))).toMatchObject({
    code: 'SUBSCRIPTION_CREATION_FAILED',
    reason: 'SubscriberMaxCountReached',
  });
  await sub.close();
  await (await store.connectSubscription('g', 's')).close();
  expect(await rejection(store.createSubscription('x', 's', { strategy: 'any' as never }))).toMatchObject({
    code: 'BAD_REQUEST',
  });
  expect(await rejection(store.createSubscription('x', 's', { timeoutMs: 0 }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await rejection(store.createSubscription('x', 's', { timeout: 1 } as never))).toMatchObject({
    code: 'CONFIGURATION',
  });
  expect(await rejection(store.updateSubscription('g', 's', { startFrom: 1n } as never))).toMatchObject({
    code: 'BAD_REQUEST',
  });
  expect(await rejection(store.connectSubscription('g', 's', { maxInFlight: 0 }))).toMatchObject({
    code: 'BAD_REQUEST',
  });
});

test('settings are changed under running consumers, and a deleted group drops them', async () => {
  const { store, database } = await freshStore();
  await store.publish('s', numbered(2));
  await store.createSubscription('g', 's', { startFrom: 0n, leaseMs: 300 });
  const sub = await store.connectSubscription('g', 's', { maxInFlight: 1 });
  const event = (await sub.next()).value!;
  expect(event.json()).toBe(0);
  await store.updateSubscription('g', 's', { timeoutMs: 100 });
  // a second beat comes when the first one is worked off
  const consumers = `shard000${store.shardFor('s')}.hv_consumers`;
  const beats = new Set<number>();
  await waitFor(async () => {
    beats.add(+(await database.query(`select expires_at from ${consumers}`)).rows[0].expires_at);
    return beats.size > 2;
  });
  expect(await sub.ack(event)).toBe(true);
  const tries = [(await sub.next()).value!, (await sub.next()).value!];
  expect(tries.map((again) => [again.json(), again.retryCount])).toEqual([
    [1, 0],
    [1, 1],
  ]);
  await store.deleteSubscription('g', 's');
  const error = await rejection(
    (async () => {
      for (;;) {
        const { done } = await sub.next();
        if (done) return;
      }
    })(),
  );
  expect(error).toMatchObject({ code: 'SUBSCRIPTION_FAILED', reason: 'PersistentSubscriptionDeleted' });
});

test('autoAck acknowledges when the next event is asked for', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(5));
  await store.createSubscription('g', 's', { startFrom: 0n });
  const sub = await store.connectSubscription('g', 's', { autoAck: true, maxInFlight: 1 });
  for (let i = 0; i < 5; i++) expect((await sub.next()).value!.json()).toBe(i);
  await sub.close();
  const [{ settledTo } = { settledTo: -1n }] = (await store.subscriptionStats('g', 's')).shards;
  expect(settledTo).toBe(3n);
});
