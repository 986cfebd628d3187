// What do 100,000 gets at the same moment, and a scan over a million entities, take of this process' memory?
import { Datastore } from 'pg-hypervault';
import { fillEntities, targets } from './support/fill.ts';
import { heapGrowthMb, liveHeapMb } from './support/heap.ts';
import { type Result, rounded } from './support/result.ts';
import { POOL_MAX, SHARDS, withServers } from './support/servers.ts';

const GETS = 100_000;
const PER_SHARD = 62_500;

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    await fillEntities(servers, PER_SHARD);
    const db = new Datastore(servers.connections, { poolMax: POOL_MAX });
    try {
      const wanted = targets(PER_SHARD, SHARDS, GETS);
      await Promise.all(wanted.slice(0, 1_000).map(({ key }) => db.get(key)));
      // What comes back is the caller's to keep, so it is let go at once.
      const gets = await heapGrowthMb(() => Promise.all(wanted.map(({ key }) => db.get(key).then(() => {}))));
      const before = liveHeapMb();
      let live = 0;
      let seen = 0;
      const start = performance.now();
      const scan = await heapGrowthMb(async () => {
        for await (const _ of db.scan()) {
          seen += 1;
          if (seen % 100_000 === 0) live = Math.max(live, liveHeapMb() - before);
        }
      });
      const perSecond = Math.round((seen * 1_000) / (performance.now() - start));
      if (seen !== PER_SHARD * SHARDS.length) throw new Error(`the scan saw ${seen} entities`);
      return [
        {
          bench: 'memory',
          case: `${GETS} gets at once`,
          goal: 'under 200',
          unit: 'MiB of heap growth, garbage included',
          ours: gets,
        },
        {
          bench: 'memory',
          case: `scan over ${seen} entities`,
          goal: 'under 64',
          unit: 'MiB of heap growth, alive',
          ours: rounded(live),
          withGarbageMb: scan,
          perSecond,
        },
      ];
    } finally {
      await db.disconnect();
    }
  });
