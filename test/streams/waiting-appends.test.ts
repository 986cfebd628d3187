import { expect, test } from 'vitest';
import type { AppendCall } from '../../src/streams/append-call.ts';
import { EXPECTED_CODE } from '../../src/streams/expected-version.ts';
import { type TakenGroup, WaitingAppends } from '../../src/streams/waiting-appends.ts';

const NO_BOUNDS = { streams: 1_000, streamsOfShard: 1_000, events: 1_000, bytes: 1_000 };

function call(shardId: number, stream: string, checked = false): AppendCall {
  return {
    shardId,
    stream,
    expected: EXPECTED_CODE.any,
    events: [{ id: '', type: 'T', body: null, bytes: null, metadata: null, size: 1, idGiven: checked }],
    bytes: 1,
    correlationId: undefined,
    checked,
    mayHaveHappened: false,
    retryUntil: 0,
    resolve: () => {},
    reject: () => {},
  };
}

const names = (taken: readonly TakenGroup[]): string[] =>
  taken.map(({ line, group }) => `${line.shardId} ${line.stream} ${group.length}`);

function waiting(...calls: AppendCall[]): WaitingAppends {
  const appends = new WaitingAppends();
  for (const one of calls) appends.add(one);
  return appends;
}

test('a batch holds whole shards, those that wait longest first', () => {
  const appends = waiting(call(2, 'a'), call(1, 'b'), call(2, 'c'), call(1, 'd'), call(3, 'e'));
  expect(names(appends.take({ ...NO_BOUNDS, streams: 2 }))).toEqual(['2 a 1', '2 c 1']);
  expect(names(appends.take({ ...NO_BOUNDS, streams: 3 }))).toEqual(['1 b 1', '1 d 1', '3 e 1']);
  expect([appends.size, appends.shards]).toEqual([0, 0]);
});

test('a shard with too many streams is cut, and the rest stands behind the others', () => {
  const appends = waiting(call(1, 'a'), call(1, 'b'), call(1, 'c'), call(2, 'd'));
  expect(names(appends.take({ ...NO_BOUNDS, streams: 2, streamsOfShard: 2 }))).toEqual(['1 a 1', '1 b 1']);
  expect([appends.size, appends.shards]).toEqual([2, 2]);
  expect(names(appends.take(NO_BOUNDS))).toEqual(['2 d 1', '1 c 1']);
});

test('a stream that was taken is not given out again before it is put back', () => {
  const appends = waiting(call(1, 'a'));
  const [taken] = appends.take(NO_BOUNDS);
  appends.add(call(1, 'a'));
  appends.add(call(1, 'a'));
  expect(appends.take(NO_BOUNDS)).toEqual([]);
  appends.putBack(taken!.line);
  expect(names(appends.take(NO_BOUNDS))).toEqual(['1 a 2']);
});

test('only appends that ask nothing are written as one', () => {
  const appends = waiting(call(1, 'a'), call(1, 'a', true), call(1, 'a'));
  const [first] = appends.take(NO_BOUNDS);
  expect(first!.group.map(({ checked }) => checked)).toEqual([false]);
  appends.putBack(first!.line);
  expect(appends.take(NO_BOUNDS)[0]!.group.map(({ checked }) => checked)).toEqual([true]);
});

test('a batch keeps to its events and bytes, unless one append alone is larger', () => {
  const appends = waiting(call(1, 'a'), call(1, 'b'), call(1, 'c'));
  expect(names(appends.take({ ...NO_BOUNDS, bytes: 0 }))).toEqual(['1 a 1']);
  expect(names(appends.take({ ...NO_BOUNDS, events: 1 }))).toEqual(['1 b 1']);
  expect(appends.drain()).toHaveLength(1);
  expect([appends.size, appends.shards]).toEqual([0, 0]);
});
