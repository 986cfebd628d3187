import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { NewEvent } from '../../src/streams/index.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore } from './event-store.ts';

test('events get numbers from 0, and come back as they were', async () => {
  const { store } = await freshStore();
  const first = await store.publishEvent('ponies', 'PonyJumped', { body: { height: 10 }, metadata: { by: 'me' } });
  expect(first).toMatchObject({ stream: 'ponies', firstEventNumber: 0n, lastEventNumber: 0n, repeated: false });
  const more = await store.publish('ponies', [new NewEvent('A'), new NewEvent('B')], { expectedVersion: 0n });
  expect(more).toMatchObject({ firstEventNumber: 1n, lastEventNumber: 2n });

  const event = await store.getEvent('ponies', 0n);
  expect(event.json()).toEqual({ height: 10 });
  expect(event.metadata).toEqual({ by: 'me' });
  expect(event).toMatchObject({ type: 'PonyJumped', stream: 'ponies', eventNumber: 0n });
  expect(event.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(Math.abs(event.created.getTime() - Date.now())).toBeLessThan(10_000);
  expect(event.key.shardId).toBe(first.shardId);
});

test('bodies of every kind come back as they were', async () => {
  const { store } = await freshStore();
  const bodies = [
    '{ "as" :  "it is" }',
    Buffer.from([0, 1, 255]),
    [1, { deep: ['\u0000', '😀', '\ud800'] }],
    null,
    undefined,
    0,
    false,
    'null',
  ];
  await store.publish(
    'kinds',
    bodies.map((body) => new NewEvent('T', { body })),
  );
  const events = await store.get('kinds');
  expect(events[0]!.data.toString()).toBe('{ "as" :  "it is" }');
  expect(events[1]!.data).toEqual(Buffer.from([0, 1, 255]));
  expect(events[2]!.json()).toEqual(bodies[2]);
  expect(events[3]!.json()).toBeNull();
  expect(events[4]!.data).toHaveLength(0);
  expect(events[4]!.json()).toBeUndefined();
  expect([events[5]!.json(), events[6]!.json(), events[7]!.json()]).toEqual([0, false, null]);
  expect(events[4]!.metadata).toBeNull();
  const error = await rejection(Promise.resolve().then(() => events[1]!.json()));
  expect(error).toMatchObject({ code: 'PAYLOAD_UNREADABLE', payload: Buffer.from([0, 1, 255]) });
});

test('the expected version is kept, and a wrong one says what is there', async () => {
  const { store } = await freshStore();
  const missing = await rejection(store.publishEvent('s', 'T', { expectedVersion: 'streamExists' }));
  expect(missing).toMatchObject({ code: 'WRONG_EXPECTED_VERSION', stream: 's', expected: 'streamExists', actual: -1n });
  await rejection(store.publishEvent('s', 'T', { expectedVersion: 0n }));
  await store.publishEvent('s', 'T', { expectedVersion: 'noStream' });
  await store.publishEvent('s', 'T', { expectedVersion: 'streamExists' });
  await store.publishEvent('s', 'T', { expectedVersion: 'any' });
  const stale = await rejection(store.publishEvent('s', 'T', { expectedVersion: 1n, correlationId: 'c-1' }));
  expect(stale).toMatchObject({ expected: 1n, actual: 2n, retryable: false, correlationId: 'c-1' });
  const made = await rejection(store.publishEvent('s', 'T', { expectedVersion: 'noStream' }));
  expect(made).toMatchObject({ expected: 'noStream', actual: 2n });
  expect(await store.get('s')).toHaveLength(3);
});

test('many appends at once keep their own outcomes, and their order within a stream', async () => {
  const { store } = await freshStore();
  await store.publishEvent('held', 'T');
  const appends = Array.from({ length: 500 }, async (_, i) => {
    if (i % 50 === 7) return rejection(store.publishEvent('held', 'T', { expectedVersion: 40n }));
    return store.publishEvent(`many-${i % 10}`, 'T', { body: { i } });
  });
  const outcomes = await Promise.all(appends);
  expect(outcomes.filter((outcome) => outcome instanceof Error)).toHaveLength(10);
  for (let s = 0; s < 10; s++) {
    const order = (await store.get(`many-${s}`, { maxCount: 1000 })).map((event) => event.json<{ i: number }>().i);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order.length).toBe(s === 7 ? 40 : 50);
  }
  expect(await store.get('held')).toHaveLength(1);
});

test('of concurrent appends that expect one version exactly one succeeds', async () => {
  const { store, datastore } = await freshStore();
  await store.publishEvent('race', 'T');
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () =>
      store.publishEvent('race', 'T', { expectedVersion: 0n }).catch((error: Error) => error),
    ),
  );
  expect(outcomes.filter((outcome) => !(outcome instanceof Error))).toHaveLength(1);
  expect(datastore.stats()).toBeDefined();
});

test('an append is idempotent by event id', async () => {
  const { store } = await freshStore();
  const events = [new NewEvent('A', { id: randomUUID() }), new NewEvent('B', { id: randomUUID() })];
  await store.publishEvent('i', 'First');
  const first = await store.publish('i', events, { expectedVersion: 0n });
  await store.publishEvent('i', 'Later');
  expect(await store.publish('i', events, { expectedVersion: 0n })).toEqual({ ...first, repeated: true });
  expect(await store.publish('i', events)).toEqual({ ...first, repeated: true });
  expect(await store.get('i')).toHaveLength(4);

  // not the same append: another place, another order, more events, fewer in a row
  const where = await rejection(store.publish('i', events, { expectedVersion: 3n }));
  expect(where).toMatchObject({ code: 'EVENT_ID_CONFLICT', eventNumber: 1n });
  await rejection(store.publish('i', [...events].reverse()));
  await rejection(store.publish('i', [...events, new NewEvent('C', { id: randomUUID() })]));
  expect(await store.publish('i', [events[1]!])).toMatchObject({ firstEventNumber: 2n, repeated: true });
  // another stream knows nothing of them
  expect(await store.publish('j', events, { expectedVersion: 'noStream' })).toMatchObject({ repeated: false });
  const [one, two] = await Promise.all([store.publish('k', events), store.publish('k', events)]);
  expect([one.repeated, two.repeated].sort()).toEqual([false, true]);
});

test('bad input is refused before the wire, by name', async () => {
  const { store } = await freshStore({ maxEventBytes: 1_000 });
  const refused = async (work: () => Promise<unknown>): Promise<Record<string, unknown>> =>
    rejection(Promise.resolve().then(work)) as unknown as Record<string, unknown>;
  expect(await refused(() => store.publishEvent('', 'T'))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('$all', 'T'))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('order-*', 'T'))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('a\0', 'T'))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('s', ''))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('s', 'T', { body: 'not json' }))).toMatchObject({
    code: 'BAD_REQUEST',
  });
  expect(await refused(() => store.publishEvent('s', 'T', { body: 10n }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('s', 'T', { body: () => 1 }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('s', 'T', { id: 'x' }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publish('s', []))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await refused(() => store.publishEvent('s', 'T', { expectedVersion: 1 as never }))).toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('1n'),
  });
  const large = await refused(() => store.publishEvent('s', 'T', { body: 'x'.repeat(10) && { a: 'x'.repeat(2_000) } }));
  expect(large).toMatchObject({ code: 'EVENT_TOO_LARGE', maxBytes: 1_000 });
  expect((await refused(() => store.get('s'))).code).toBe('STREAM_NOT_FOUND');
});

test('large events survive', async () => {
  const { store } = await freshStore();
  const body = { text: 'ü'.repeat(1_000_000) };
  await store.publishEvent('large', 'T', { body });
  expect((await store.getEvent('large', 0n)).json()).toEqual(body);
});

test('an append takes part in the transaction of its caller', async () => {
  const { store, datastore } = await freshStore();
  const shardId = store.shardFor('orders-1');
  await rejection(
    datastore.transaction(shardId, async (transaction) => {
      await store.publishEvent('orders-1', 'Paid', { transaction });
      throw new Error('no');
    }),
  );
  expect((await rejection(store.get('orders-1'))).code).toBe('STREAM_NOT_FOUND');
  await datastore.transaction(shardId, async (transaction) => {
    const result = await store.publishEvent('orders-1', 'Paid', { transaction, expectedVersion: 'noStream' });
    expect(result.firstEventNumber).toBe(0n);
    const wrong = await rejection(store.publishEvent('orders-1', 'Paid', { transaction, expectedVersion: 7n }));
    expect(wrong).toMatchObject({ code: 'WRONG_EXPECTED_VERSION', actual: 0n });
  });
  expect(await store.get('orders-1')).toHaveLength(1);
  const elsewhere = await rejection(
    datastore.transaction((shardId % 4) + 1, (transaction) => store.publishEvent('orders-1', 'T', { transaction })),
  );
  expect(elsewhere.message).toContain(`lives in shard ${shardId}`);
});

test('an async iterable is written in chunks, and only as fast as it can be', async () => {
  const { store, database } = await freshStore({ maxAppendEvents: 50 });
  const locking = await database.client();
  await locking.query(`begin; lock table shard000${store.shardFor('it')}.hv_events`);
  let made = 0;
  async function* source(): AsyncGenerator<NewEvent> {
    for (; made < 1_234; made++) yield new NewEvent('T', { body: made });
  }
  const publishing = store.publish('it', source(), { expectedVersion: 'noStream' });
  await waitFor(async () => {
    const { rows } = await database.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'");
    return rows.length > 0;
  });
  // one chunk on its way, one full
  await waitFor(() => made >= 99);
  expect(made).toBeLessThanOrEqual(101);
  await locking.query('rollback');
  const result = await publishing;
  expect(result).toMatchObject({ firstEventNumber: 0n, lastEventNumber: 1_233n });
  let next = 0;
  for await (const event of store.iter('it', { batchSize: 500 })) expect(event.json()).toBe(next++);
  expect(next).toBe(1_234);

  async function* failing(): AsyncGenerator<NewEvent> {
    for (let i = 0; i < 120; i++) yield new NewEvent('T');
    throw new Error('the source broke');
  }
  const error = await rejection(store.publish('broken', failing()));
  expect(error.message).toBe('the source broke');
  expect(await store.get('broken', { maxCount: 500 })).toHaveLength(100);

  let stopped = false;
  const stop = new AbortController();
  async function* endless(): AsyncGenerator<NewEvent> {
    try {
      for (let tick = 0; ; tick++) {
        if (tick === 20) stop.abort(new Error('enough'));
        yield new NewEvent('Tick');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } finally {
      stopped = true;
    }
  }
  expect(await rejection(store.publish('ticker', endless(), { signal: stop.signal }))).toMatchObject({
    code: 'ABORTED',
  });
  await expect.poll(() => stopped).toBe(true);
  // what came while an append was on its way goes with the next, which the end has kept from being sent
  expect((await store.get('ticker')).length).toBeGreaterThan(0);
  async function* nothing(): AsyncGenerator<NewEvent> {}
  expect(await store.publish('nothing', nothing())).toBeUndefined();
});
