import { expect, test } from 'vitest';
import { runPlan } from '../../src/cluster/index.ts';
import { movableCluster } from '../support/movable-cluster.ts';

const plan = (shards: readonly number[]) =>
  shards.map((shardId) => ({ shardId, from: 'a', to: 'b', bytes: 0n, rows: 0n }));

/** Who was at work when: how many at most, and the shortest time from the end of a move to the beginning of another. */
function watched() {
  const under = new Set<number>();
  let most = 0;
  let endedAt: number | undefined;
  let shortestRestMs = Number.POSITIVE_INFINITY;
  return {
    seen: () => ({ most, shortestRestMs }),
    options: {
      acceptStaleReads: true,
      onStep: (step: string, phase: string, shardId: number): void => {
        if (step !== 'preflight' || phase !== 'begun') return;
        under.add(shardId);
        most = Math.max(most, under.size);
        if (endedAt !== undefined) shortestRestMs = Math.min(shortestRestMs, performance.now() - endedAt);
      },
      onMove: ({ shardId }: { shardId: number }): void => {
        under.delete(shardId);
        endedAt = performance.now();
      },
    },
  };
}

test('a plan keeps its bounds: moves at a time, moves on one server, the rest after each', {
  timeout: 60_000,
}, async () => {
  const cluster = await movableCluster({ shards: ['1-9', '9-10'] });
  const oneByOne = watched();
  await runPlan(cluster.setting, plan([1, 2]), { concurrency: 3, restMs: 300, ...oneByOne.options });
  expect(oneByOne.seen().most).toBe(1);
  expect(oneByOne.seen().shortestRestMs).toBeGreaterThanOrEqual(299);
  const twoAtATime = watched();
  await runPlan(cluster.setting, plan([3, 4, 5]), { maxPerServer: 3, restMs: 0, ...twoAtATime.options });
  expect(twoAtATime.seen().most).toBe(2);
  for (const shardId of [1, 2, 3, 4, 5]) expect(await cluster.owners(shardId)).toEqual(['b']);
  expect(await cluster.leftovers()).toEqual([]);
});
