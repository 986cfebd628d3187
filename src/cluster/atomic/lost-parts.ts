import type { Client } from 'pg';
import { schemaName } from '../../core/index.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { PartPlace } from './decision.ts';
import { partName } from './part-name.ts';
import type { PartProblem } from './part-problems.ts';
import type { PreparedOnServer } from './prepared.ts';

/** A decision that has been kept for long. */
export interface OldDecision {
  readonly coordinator: number;
  readonly id: string;
  readonly shards: readonly number[];
  readonly places: Readonly<Record<string, PartPlace>>;
}

/** Shards asked in one statement. */
const BATCH = 128;

/** Servers that are not installed with atomic writes, or an earlier version of them. */
const NOT_THERE = new Set<string | undefined>([SQLSTATE.undefinedTable, SQLSTATE.undefinedColumn]);

/** Reads decisions older than `afterMs` of the shards that a server owns. */
export async function readOldDecisions(
  client: Client,
  shards: readonly number[],
  { schemaPrefix, afterMs }: { schemaPrefix: string; afterMs: number },
): Promise<OldDecision[]> {
  const old: OldDecision[] = [];
  for (let at = 0; at < shards.length; at += BATCH) {
    const text = shards.slice(at, at + BATCH).map(
      (shardId) =>
        `select ${shardId} as coordinator, id, shards, places
         from ${quoteIdentifier(schemaName(schemaPrefix, shardId))}.hv_decision
         where made < clock_timestamp() - make_interval(secs => $1)`,
    );
    try {
      old.push(...(await client.query<OldDecision>(text.join('\nunion all\n'), [afterMs / 1_000])).rows);
    } catch (error) {
      if (!NOT_THERE.has(sqlStateOf(error))) throw error;
    }
  }
  return old;
}

/**
 * Parts of decided writes that are not prepared any more on a server that was promoted since they were begun.
 *
 * @param serverOf - the server that has a shard by the map
 * @param asked - what is prepared on each server
 */
export function lostParts(
  decisions: readonly OldDecision[],
  serverOf: (shardId: number) => string | undefined,
  asked: ReadonlyMap<string, PreparedOnServer>,
): PartProblem[] {
  return decisions.flatMap(({ coordinator, id, shards, places }) =>
    shards.flatMap((shardId): PartProblem[] => {
      const server = serverOf(shardId);
      const place = places[shardId];
      const there = server === undefined ? undefined : asked.get(server);
      if (server === undefined || there === undefined || place?.server !== server) return [];
      if (there.timeline === null || there.timeline === place.timeline) return [];
      const name = partName({ id, coordinator, shardId });
      if (there.prepared.some((one) => one.name === name)) return [];
      const message = `${server} was promoted while the atomic write ${id} was being made, and may have lost its part on shard ${shardId}; look what is missing there, write it again, then delete the decision from shard ${coordinator}`;
      return [{ kind: 'part-lost', shardId, server, message }];
    }),
  );
}
