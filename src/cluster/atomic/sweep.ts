import type { Datastore } from '../../core/index.ts';
import { forgetDecision } from './decision.ts';

/** Removes decisions older than `afterMs` whose parts have all ended. Looks once into every shard. */
export async function sweep(
  db: Datastore,
  { afterMs, signal }: { afterMs: number; signal?: AbortSignal | undefined },
): Promise<number> {
  const { results } = await db.fanOut(
    db.map.shards,
    async (cursor) => {
      const { rows } = await cursor.query<{ id: string }>(
        'select id from hv_decision where made < clock_timestamp() - make_interval(secs => $1)',
        [afterMs / 1_000],
      );
      return rows.map(({ id }) => ({ id, coordinator: cursor.shardId }));
    },
    { signal },
  );
  let removed = 0;
  for (const decision of [...results.values()].flat()) {
    if (await forgetDecision(db, decision, signal)) removed += 1;
  }
  return removed;
}
