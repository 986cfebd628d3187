import type { Datastore, FanOutOptions } from '../../core/index.ts';
import { forgetDecision, lookAtParts } from './decision.ts';

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
    removed += (await sweepShard(db, stale, { remove: true, signal })).removed;
  }
  return removed;
}

/** What a look at a shard's decisions found. */
export interface Swept {
  /** No part needs them: they are gone, or may go. */
  readonly removed: number;
  /** Writes that may have lost a part in a failover, with the shards of those parts. */
  readonly lost: readonly { readonly id: string; readonly shards: readonly number[] }[];
}

/** Looks at the parts of a shard's decisions, and with `remove` takes away decisions whose parts have all ended. */
export async function sweepShard(
  db: Datastore,
  { coordinator, ids }: StaleDecisions,
  { remove, signal }: { remove: boolean; signal?: AbortSignal | undefined },
): Promise<Swept> {
  let removed = 0;
  const lost: { id: string; shards: readonly number[] }[] = [];
  const look = remove ? forgetDecision : lookAtParts;
  for (const id of ids) {
    const left = await look(db, { id, coordinator }, signal);
    if (left.lost.length > 0) lost.push({ id, shards: left.lost });
    else if (!left.prepared) removed += 1;
  }
  return { removed, lost };
}
