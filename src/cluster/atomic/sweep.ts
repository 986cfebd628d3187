import type { Datastore, FanOutOptions } from '../../core/index.ts';
import { forgetDecision } from './decision.ts';

/** Decisions a shard has kept for long. */
export interface StaleDecisions {
  readonly coordinator: number;
  readonly ids: readonly string[];
}

/** Finds decisions older than `afterMs`, by shard. Looks once into every one of `shards`. */
export async function findStale(
  db: Datastore,
  shards: readonly number[],
  { afterMs, ...options }: { afterMs: number } & Pick<FanOutOptions, 'onError' | 'signal'>,
): Promise<StaleDecisions[]> {
  const { results } = await db.fanOut(
    shards,
    async (cursor) => {
      const { rows } = await cursor.query<{ id: string }>(
        'select id from hv_decision where made < clock_timestamp() - make_interval(secs => $1)',
        [afterMs / 1_000],
      );
      return rows.map(({ id }) => id);
    },
    options,
  );
  return [...results].flatMap(([coordinator, ids]) => (ids.length === 0 ? [] : [{ coordinator, ids }]));
}

/** Removes decisions older than `afterMs` whose parts have all ended. */
export async function sweep(
  db: Datastore,
  { afterMs, signal }: { afterMs: number; signal?: AbortSignal | undefined },
): Promise<number> {
  let removed = 0;
  for (const stale of await findStale(db, db.map.shards, { afterMs, signal })) {
    removed += await sweepShard(db, stale, signal);
  }
  return removed;
}

/** @returns how many of a shard's decisions are gone; the others have parts that are still prepared */
export async function sweepShard(
  db: Datastore,
  { coordinator, ids }: StaleDecisions,
  signal?: AbortSignal | undefined,
): Promise<number> {
  let removed = 0;
  for (const id of ids) {
    if (await forgetDecision(db, { id, coordinator }, signal)) removed += 1;
  }
  return removed;
}
