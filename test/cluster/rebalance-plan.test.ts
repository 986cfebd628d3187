import { expect, test } from 'vitest';
import { type MovesPlan, type PlanShard, planDrain, planRebalance } from '../../src/cluster/index.ts';
import { withOpenMoves } from '../../src/cluster/rebalance/open-moves.ts';

/** Shards 1, 2, … with these sizes, on these servers. */
function shards(...servers: [server: string, ...sizes: number[]][]): PlanShard[] {
  let shardId = 0;
  return servers.flatMap(([server, ...sizes]) =>
    sizes.map((size) => {
      shardId += 1;
      return { shardId, server, bytes: BigInt(size), rows: BigInt(1_000 - size) };
    }),
  );
}

const sizes = ({ after }: MovesPlan): Record<string, number> =>
  Object.fromEntries(after.map(({ server, bytes }) => [server, Number(bytes)]));
const moved = ({ moves }: MovesPlan): string[] => moves.map(({ shardId, from, to }) => `${shardId}: ${from} to ${to}`);

test('two servers become four by as few moves as that takes', () => {
  const plan = planRebalance(shards(['a', 10, 10, 10, 10], ['b', 10, 10, 10, 10]), ['a', 'b', 'c', 'd']);
  expect(sizes(plan)).toEqual({ a: 20, b: 20, c: 20, d: 20 });
  expect(plan.moves).toHaveLength(4);
  expect(plan.before.map(({ server, shards: count }) => [server, count])).toEqual([
    ['a', 4],
    ['b', 4],
    ['c', 0],
    ['d', 0],
  ]);
});

test('one large shard goes where several small ones would do the same', () => {
  const plan = planRebalance(shards(['a', 100, 1, 2, 50, 3, 44], ['b', 100]), ['a', 'b']);
  expect(moved(plan)).toEqual(['4: a to b']);
});

test('what is even enough, or can not be made more even, stays', () => {
  expect(planRebalance(shards(['a', 10, 11, 1], ['b', 10, 9]), ['a', 'b']).moves).toEqual([]);
  expect(planRebalance(shards(['a', 10, 11, 1], ['b', 10, 9]), ['a', 'b'], { tolerance: 0 }).moves).toHaveLength(1);
  // One shard that is larger than all others together.
  expect(planRebalance(shards(['a', 100], ['b', 1, 1]), ['a', 'b']).moves).toEqual([]);
  expect(planRebalance(shards(['a', 0, 0], ['b']), ['a', 'b']).moves).toEqual([]);
  expect(planRebalance(shards(['a', 0, 0], ['b']), ['a', 'b'], { by: 'shards' }).moves).toHaveLength(1);
  expect(() => planRebalance([], ['a'])).toThrow(/fewer than two/);
});

test('rows count when asked; servers that take no part keep theirs', () => {
  const all = shards(['a', 999, 1], ['b', 999], ['c', 500, 500, 500]);
  expect(moved(planRebalance(all, ['a', 'b'], { by: 'rows', tolerance: 0 }))).toEqual(['1: a to b']);
  expect(planRebalance(all, ['a', 'b']).after.map(({ server }) => server)).toEqual(['a', 'b']);
});

test('random clusters end within the tolerance, no shard moves twice, none is lost', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 50; round++) {
    const servers = ['a', 'b', 'c', 'd', 'e'].slice(0, 2 + random(4));
    const all = Array.from({ length: 64 }, (_, shardId): PlanShard => {
      return { shardId, server: servers[random(2)]!, bytes: BigInt(100 + random(50)), rows: 0n };
    });
    const plan = planRebalance(all, servers);
    const average = all.reduce((sum, { bytes }) => sum + Number(bytes), 0) / servers.length;
    expect(Math.max(...Object.values(sizes(plan)))).toBeLessThanOrEqual(average * 1.1);
    expect(new Set(plan.moves.map(({ shardId }) => shardId)).size).toBe(plan.moves.length);
    expect(plan.after.reduce((sum, { shards: count }) => sum + count, 0)).toBe(64);
    for (const { shardId, from } of plan.moves) expect(all[shardId]!.server).toBe(from);
  }
});

test('a drained server ends with nothing, and the others evenly', () => {
  const plan = planDrain(shards(['a', 5, 50, 10, 30], ['b', 40], ['c', 20]), 'a', ['a', 'b', 'c']);
  expect(sizes(plan)).toEqual({ b: 80, c: 75, a: 0 });
  expect(plan.moves.map(({ shardId }) => shardId)).toEqual([2, 4, 3, 1]);
  expect(() => planDrain([], 'a', ['a'])).toThrow(/no other server/);
});

test('what was begun counts as done; what has a way back stays', () => {
  const all = shards(['a', 10, 10, 10, 10], ['b']);
  const open = [
    { shardId: 1, source: 'a', target: 'b', state: 'moving' },
    { shardId: 2, source: 'b', target: 'a', state: 'moved' },
  ] as unknown as Parameters<typeof withOpenMoves>[1];
  const begun = withOpenMoves(all, open);
  expect(begun.moves).toMatchObject([{ shardId: 1, from: 'a', to: 'b' }]);
  expect(moved(planRebalance(begun.shards, ['a', 'b']))).toEqual(['3: a to b']);
});
