import { expect, test } from 'vitest';
import { linkTo, NewEvent, Position } from '../../src/streams/index.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore, take } from './event-store.ts';

const numbered = (count: number): NewEvent[] => Array.from({ length: count }, (_, i) => new NewEvent('T', { body: i }));

test('pages go forwards and backwards, and say where to go on', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(10));
  const first = await store.get('s', { maxCount: 4 });
  expect(first.map((event) => event.eventNumber)).toEqual([0n, 1n, 2n, 3n]);
  expect(first).toMatchObject({ nextEventNumber: 4n, lastEventNumber: 9n, isEndOfStream: false, stream: 's' });
  const rest = await store.get('s', { fromEvent: 8n });
  expect(rest.events.map((event) => event.json())).toEqual([8, 9]);
  expect(rest).toMatchObject({ nextEventNumber: 10n, isEndOfStream: true });
  const beyond = await store.get('s', { fromEvent: 50n });
  expect(beyond).toHaveLength(0);
  expect(beyond).toMatchObject({ nextEventNumber: 50n, isEndOfStream: true });

  const back = await store.get('s', { direction: 'backward', maxCount: 3 });
  expect(back.map((event) => event.eventNumber)).toEqual([9n, 8n, 7n]);
  expect(back).toMatchObject({ nextEventNumber: 6n, isEndOfStream: false });
  const start = await store.get('s', { direction: 'backward', fromEvent: 1n });
  expect(start.map((event) => event.eventNumber)).toEqual([1n, 0n]);
  expect(start).toMatchObject({ nextEventNumber: -1n, isEndOfStream: true });
});

test('iterating reads to the end and stops, in both directions and in pages of any size', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(257));
  for (const batchSize of [1, 10, 256, 257, 1_000]) {
    const forward: unknown[] = [];
    for await (const event of store.iter('s', { batchSize })) forward.push(event.json());
    expect(forward).toEqual(Array.from({ length: 257 }, (_, i) => i));
    const backward: unknown[] = [];
    for await (const event of store.iter('s', { batchSize, direction: 'backward' })) backward.push(event.json());
    expect(backward).toEqual([...forward].reverse());
  }
  const some = await take(store.iter('s', { fromEvent: 250n, batchSize: 2 }), 3);
  expect(some.map((event) => event.eventNumber)).toEqual([250n, 251n, 252n]);
});

test('what is not there is a typed error', async () => {
  const { store } = await freshStore();
  expect(await rejection(store.get('no'))).toMatchObject({ code: 'STREAM_NOT_FOUND', stream: 'no' });
  expect(await rejection(store.getEvent('no', 0n))).toMatchObject({ code: 'STREAM_NOT_FOUND' });
  expect(await rejection(store.iter('no').next())).toMatchObject({ code: 'STREAM_NOT_FOUND' });
  await store.publishEvent('s', 'T');
  expect(await rejection(store.getEvent('s', 1n, { correlationId: 'x' }))).toMatchObject({
    code: 'EVENT_NOT_FOUND',
    eventNumber: 1n,
    stream: 's',
    correlationId: 'x',
  });
  expect(await rejection(store.getEvent('s', 0 as never))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await rejection(store.get('s', { direction: 'sideways' as never }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await rejection(store.get('s', { maxCount: 0 }))).toMatchObject({ code: 'BAD_REQUEST' });
});

test('a stream that is deleted half-way: its events first, then the error, then it is over', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(30));
  const events = store.iter('s', { batchSize: 10 });
  const seen: unknown[] = [];
  let error: unknown;
  try {
    for await (const event of events) {
      seen.push(event.json());
      if (seen.length === 1) await store.deleteStream('s');
    }
  } catch (caught) {
    error = caught;
  }
  expect(seen.length % 10).toBe(0);
  expect(seen.length).toBeGreaterThan(0);
  expect(error).toMatchObject({ code: 'STREAM_DELETED', hard: false });
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('a deleted stream is back with the next append, numbers going on, unless it was deleted for good', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(3));
  expect(await rejection(store.deleteStream('s', { expectedVersion: 7n }))).toMatchObject({ actual: 2n });
  await store.deleteStream('s', { expectedVersion: 2n });
  expect(await rejection(store.get('s'))).toMatchObject({ code: 'STREAM_DELETED', hard: false });
  expect(await rejection(store.deleteStream('s'))).toMatchObject({ code: 'STREAM_NOT_FOUND' });
  const back = await store.publishEvent('s', 'Back', { expectedVersion: 'noStream' });
  expect(back.firstEventNumber).toBe(3n);
  expect((await store.get('s')).map((event) => event.type)).toEqual(['Back']);

  await store.deleteStream('s', { hard: true });
  expect(await rejection(store.get('s'))).toMatchObject({ code: 'STREAM_DELETED', hard: true });
  expect(await rejection(store.publishEvent('s', 'T'))).toMatchObject({ code: 'STREAM_DELETED', hard: true });
  expect(await rejection(store.deleteStream('s'))).toMatchObject({ code: 'STREAM_DELETED', hard: true });
  expect(await rejection(store.deleteStream('never'))).toMatchObject({ code: 'STREAM_NOT_FOUND' });
});

test('retention hides at once and scavenging removes', async () => {
  const { store, database } = await freshStore();
  await store.publish('cut', numbered(10));
  await store.publish('few', numbered(10));
  await store.publish('old', numbered(10));
  await store.setRetention('cut', { truncateBefore: 4n });
  await store.setRetention('few', { maxCount: 3 });
  const numbers = async (stream: string): Promise<bigint[]> => (await store.get(stream)).map((e) => e.eventNumber);
  expect(await numbers('cut')).toEqual([4n, 5n, 6n, 7n, 8n, 9n]);
  expect(await numbers('few')).toEqual([7n, 8n, 9n]);
  expect((await store.get('few', { direction: 'backward' })).map((e) => e.eventNumber)).toEqual([9n, 8n, 7n]);
  await waitFor(async () => {
    await store.setRetention('old', { maxAgeMs: 1 });
    return (await numbers('old')).length === 0;
  });
  expect(await take(store.iterAll(), 100)).toHaveLength(30);
  expect(await store.scavenge({ batchSize: 3 })).toBe(4 + 7 + 10);
  const { rows } = await database.query('select count(*)::int as count from shard0001.hv_events union all select 0');
  expect(rows[0].count).toBeLessThanOrEqual(9);
  expect(await take(store.iterAll(), 100)).toHaveLength(9);
  await store.setRetention('old', { maxAgeMs: null });
  await store.publishEvent('old', 'T');
  expect(await numbers('old')).toEqual([10n]);
});

test('all events of all shards, merged by time, and resumed by position', async () => {
  const { store } = await freshStore();
  for (let i = 0; i < 40; i++) {
    await store.publishEvent(`order-${i % 7}`, 'T', { body: i });
    if (i % 4 === 0) await store.publishEvent(`pony-${i % 3}`, 'P', { body: i });
  }
  expect(new Set([0, 1, 2, 3, 4, 5, 6].map((i) => store.shardFor(`order-${i}`))).size).toBeGreaterThan(1);
  const all = await take(store.iterAll({ batchSize: 3 }), 1_000);
  expect(all).toHaveLength(50);
  const times = all.map((event) => event.created.getTime());
  expect(times).toEqual([...times].sort((a, b) => a - b));

  let position: Position | string = Position.beginning;
  const paged: string[] = [];
  for (;;) {
    const page = await store.getAll({ fromPosition: position, maxCount: 7 });
    paged.push(...page.map((event) => event.id));
    position = page.nextPosition.toString();
    if (page.isEnd) break;
  }
  expect(paged).toEqual(all.map((event) => event.id));

  const backward = await take(store.iterAll({ direction: 'backward', batchSize: 4 }), 1_000);
  expect(backward.map((event) => event.id)).toEqual(all.map((event) => event.id).reverse());
  const [, second] = backward;
  const rest = await take(store.iterAll({ direction: 'backward', fromPosition: second!.position! }), 1_000);
  expect(rest.map((event) => event.id)).toEqual(backward.slice(2).map((event) => event.id));

  const orders = await take(store.iterAll({ category: 'order' }), 1_000);
  expect(orders).toHaveLength(40);
  expect(orders.every((event) => event.stream.startsWith('order-'))).toBe(true);
  expect(await take(store.iter('pony-*', { direction: 'backward' }), 1_000)).toHaveLength(10);
  const members = await Promise.all(
    [0, 1, 2].map((member) => take(store.iterAll({ category: 'order', consumerGroup: { member, size: 3 } }), 1_000)),
  );
  const streams = members.map((events) => new Set(events.map((event) => event.stream)));
  expect(members.flat()).toHaveLength(40);
  expect(streams.reduce((sum, set) => sum + set.size, 0)).toBe(7);
});

test('positions compare as vectors', () => {
  const a = Position.parse('1:5,2:7');
  expect(a.compare(Position.parse('1:5,2:7'))).toBe(0);
  expect(a.compare(Position.parse('1:6,2:7'))).toBe(-1);
  expect(a.compare(Position.parse('1:4,2:7'))).toBe(1);
  expect(a.compare(Position.parse('1:6,2:6'))).toBeUndefined();
  expect(Position.beginning.compare(a)).toBe(-1);
  let many = Position.beginning;
  for (let i = 0; i < 100; i++) many = many.with(i % 30, BigInt(i));
  expect(many.of(29)).toBe(89n);
  expect(many.of(9)).toBe(99n);
  expect(Position.parse(many.toString()).equals(many)).toBe(true);
  expect(JSON.stringify({ at: a })).toBe('{"at":"1:5,2:7"}');
  expect(() => Position.parse('1-5')).toThrow(/is not a position/);
});

test('links lead to the events they stand for', async () => {
  const { store } = await freshStore();
  await store.publish('s', numbered(3));
  const target = await store.getEvent('s', 2n);
  await store.publish('linked', [linkTo(target), linkTo({ stream: 'gone', eventNumber: 1n }), new NewEvent('Own')]);
  const [link, broken, own] = await store.get('linked');
  expect(link).toMatchObject({ stream: 's', type: 'T', eventNumber: 0n });
  expect(link!.json()).toBe(2);
  expect(link!.link).toMatchObject({ type: '$>', stream: 'linked' });
  expect(link!.receivedEvent.stream).toBe('linked');
  expect(link!.event.eventNumber).toBe(2n);
  expect(broken).toMatchObject({ type: '$>', link: undefined });
  expect(own).toMatchObject({ type: 'Own', eventNumber: 2n });
  const [raw] = await store.get('linked', { resolveLinks: false });
  expect(raw!.type).toBe('$>');
  const seen = await take(store.iterAll(), 6);
  expect(seen.filter((event) => event.id === target.id)).toHaveLength(2);
});

test('a caller can stop waiting', async () => {
  const { store, database } = await freshStore();
  await store.publishEvent('s', 'T');
  const stopped = AbortSignal.abort(new Error('no more'));
  expect(await rejection(store.get('s', { signal: stopped }))).toMatchObject({ code: 'ABORTED' });

  const locking = await database.client();
  await locking.query(`begin; lock table shard000${store.shardFor('s')}.hv_events`);
  const stop = new AbortController();
  const reading = rejection(store.get('s', { signal: stop.signal }));
  await waitFor(async () => {
    const { rows } = await database.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'");
    return rows.length > 0;
  });
  stop.abort(new Error('enough'));
  expect(await reading).toMatchObject({ code: 'ABORTED' });
  await locking.query('rollback');
  expect(await store.get('s')).toHaveLength(1);
  expect(await store.ping()).toBeGreaterThan(0);
});
