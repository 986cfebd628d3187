// Every contradiction between a map and owner rows has its own sentence, and what agrees has none.
import { expect, test } from 'vitest';
import { compare, type MapProblemKind } from '../../src/cluster/fsck.ts';
import type { Owner } from '../../src/cluster/owners.ts';

const MAP = { epoch: 7n, servers: { a: '1-3', b: '3-4', c: '' } };
const WELL: readonly Owner[] = [
  { shardId: 1, on: 'a', owner: 'a', epoch: 1n },
  { shardId: 2, on: 'a', owner: 'a', epoch: 7n },
  { shardId: 3, on: 'b', owner: 'b', epoch: 0n },
];
const row = (shardId: number, on: string, owner: string | null, epoch = 1n): Owner => ({ shardId, on, owner, epoch });
/** The rows that agree with the map, but for these shards. */
const but = (...rows: Owner[]): Owner[] => [
  ...WELL.filter(({ shardId }) => rows.every((other) => other.shardId !== shardId)),
  ...rows,
];
const without = (shardId: number): Owner[] => WELL.filter((other) => other.shardId !== shardId);

test('rows that agree, up to the epoch of the map, are no problem; nor are copies beside the owner', () => {
  expect(compare(MAP, WELL)).toEqual([]);
  expect(compare(MAP, [...WELL, row(1, 'b', 'a'), row(3, 'c', null)])).toEqual([]);
  expect(compare(MAP, [...WELL, row(9, 'a', 'b')])).toEqual([]);
});

test.each<[MapProblemKind, Owner[], number, string, RegExp]>([
  ['missing', without(2), 2, 'a', /shard 2 should be on a and is not.*--make-missing/],
  ['missing', but(row(3, 'c', 'a')), 3, 'b', /shard 3 should be on b/],
  ['elsewhere', but(row(3, 'a', 'a', 5n)), 3, 'b', /shard 3 belongs to a since epoch 5, the map says b/],
  ['elsewhere', but(row(3, 'a', 'a'), row(3, 'b', 'a')), 3, 'b', /belongs to a/],
  ['elsewhere', but(row(3, 'a', 'a'), row(3, 'b', null)), 3, 'b', /belongs to a/],
  ['double', but(row(1, 'a', 'a', 2n), row(1, 'b', 'b', 3n)), 1, 'a', /two owners: a \(epoch 2\) and b \(epoch 3\)/],
  ['double', but(row(1, 'c', 'c'), row(1, 'b', 'b')), 1, 'a', /two owners/],
  ['unclaimed', but(row(1, 'a', null)), 1, 'a', /shard 1 on a names no owner/],
  ['unclaimed', but(row(1, 'a', 'b')), 1, 'a', /says that it belongs to b/],
  ['newer', but(row(2, 'a', 'a', 8n)), 2, 'a', /of epoch 8, the map only of 7/],
  ['unmapped', [...WELL, row(4, 'b', 'b')], 4, 'b', /shard 4 is on b and the map does not know it.*map rebuild/],
])('%s is named, case %#', (kind, found, shardId, server, message) => {
  expect(compare(MAP, found)).toEqual([{ kind, shardId, server, message: expect.stringMatching(message) }]);
});

test('a server that could not be asked is not blamed for its shards, and hides nothing of the others', () => {
  const found = [row(4, 'b', 'b'), row(3, 'b', 'b')];
  expect(compare(MAP, found, new Set(['a'])).map(({ kind, shardId }) => [kind, shardId])).toEqual([['unmapped', 4]]);
  expect(compare(MAP, [row(1, 'b', 'b')], new Set(['a'])).map(({ kind, shardId }) => [kind, shardId])).toEqual([
    ['elsewhere', 1],
    ['missing', 3],
  ]);
});
