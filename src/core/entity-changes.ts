import type { QueryArrayResult } from 'pg';
import type { HypervaultError } from '../errors.ts';
import type { Entity } from './entity.ts';
import { decodeEntity, ENTITY_COLUMNS, RAW_TYPES } from './entity-reads.ts';
import type { EntityPlace } from './entity-writes.ts';
import { RowNotReturnedError, VersionConflictError } from './errors.ts';
import type { WriteCall, WriteSource } from './gathered-writes.ts';
import { parseTimestamp } from './timestamp.ts';

/** A change of one entity, by its id in `order`. */
export interface EntityUpdate extends WriteCall {
  /** hstore's text form. */
  readonly body: string;
  readonly replace: boolean;
  /** ISO text; `null` changes whatever is there. */
  readonly ifUnchangedSince: string | null;
  /** An entity of another kind counts as none; `null` takes any. */
  readonly kind: number | null;
  /** The entity as it is now, or `null` when there is none. */
  done(entity: Entity | null): void;
}

/** A removal of one entity, by its id in `order`. */
export interface EntityRemoval extends WriteCall {
  readonly ifUnchangedSince: string | null;
  readonly kind: number | null;
  /** Whether there was one. */
  done(removed: boolean): void;
}

/**
 * Merges or replaces bodies. `updated` grows with each change, also for two changes in one millisecond or after a clock
 * stepped back: it is what `ifUnchangedSince` compares.
 */
export function updateEntities({ shardId, table, hstoreSchema, epoch }: EntityPlace): WriteSource {
  const text = `
with there as materialized (
  select id, updated
    from ${table}
   where id = $1::bigint
     and ($5::smallint is null or type = $5::smallint)
     for update
), done as (
  update ${table} e
     set body = case
                  when $3::boolean then $2::text::${hstoreSchema}.hstore
                  else coalesce(e.body, '') operator(${hstoreSchema}.||) $2::text::${hstoreSchema}.hstore
                end,
         updated = greatest(date_trunc('milliseconds', clock_timestamp()),
                            date_trunc('milliseconds', e.updated) + interval '1 millisecond')
    from there
   where e.id = there.id
     and ($4::timestamptz is null or date_trunc('milliseconds', there.updated) = $4::timestamptz)
  returning e.id, e.type, e.body, e.updated
)
select ${ENTITY_COLUMNS}, null from done
union all
select id, null, null, null, updated from there where not exists (select from done)`;
  return {
    shardId,
    maxCalls: 1,
    nothing: [null, null, null, null, null],
    statement: ([call]) => {
      const { order, body, replace, ifUnchangedSince, kind } = call as EntityUpdate;
      return { text, values: [order, body, replace, ifUnchangedSince, kind], types: RAW_TYPES };
    },
    settle: ([call], result: QueryArrayResult) => {
      const row = result.rows[0] as (string | null)[] | undefined;
      if (row === undefined) call!.done(null);
      else if (row[4] === null) call!.done(decodeEntity(row, { epoch }));
      else call!.fail(conflict(call as EntityUpdate, row[4]!));
    },
  };
}

/** Removes entities. */
export function removeEntities({ shardId, table }: EntityPlace): WriteSource {
  const text = `
with there as materialized (
  select id, updated
    from ${table}
   where id = $1::bigint
     and ($3::smallint is null or type = $3::smallint)
     for update
), done as (
  delete from ${table} e
   using there
   where e.id = there.id
     and ($2::timestamptz is null or date_trunc('milliseconds', there.updated) = $2::timestamptz)
  returning e.id
)
select there.updated, done.id is not null
  from there
  left join done on done.id = there.id`;
  return {
    shardId,
    maxCalls: 1,
    nothing: [null, null, null],
    statement: ([call]) => {
      const { order, ifUnchangedSince, kind } = call as EntityRemoval;
      return { text, values: [order, ifUnchangedSince, kind], types: RAW_TYPES };
    },
    settle: ([call], result: QueryArrayResult) => {
      const row = result.rows[0] as [string, string] | undefined;
      if (row === undefined) call!.done(false);
      else if (row[1] === 't') call!.done(true);
      else call!.fail(conflict(call as EntityRemoval, row[0]));
    },
  };
}

function conflict({ order, ifUnchangedSince }: EntityUpdate | EntityRemoval, actual: string): HypervaultError {
  if (ifUnchangedSince === null) return new RowNotReturnedError();
  return new VersionConflictError(order, ifUnchangedSince, parseTimestamp(actual).toISOString());
}
