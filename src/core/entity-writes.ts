import type { QueryArrayResult } from 'pg';
import { RAW_TYPES } from './entity-reads.ts';
import { KeyConflictError } from './errors.ts';
import type { WriteCall, WriteSource } from './gathered-writes.ts';
import { Key } from './key.ts';

/** An entity to be inserted; `order` is its id when that was reserved ahead, else ''. */
export interface EntityInsert extends WriteCall {
  readonly kind: number;
  /** The body in hstore's text form. */
  readonly body: string;
  done(key: Key): void;
}

/** Entities that are stored together, all or none. */
export interface EntitiesInsert extends WriteCall {
  readonly kind: number;
  readonly bodies: readonly string[];
  /** In the order of the bodies. */
  done(keys: Key[]): void;
}

/** Where one shard keeps its entities. */
export interface EntityPlace {
  readonly shardId: number;
  /** Quoted, with its schema. */
  readonly table: string;
  /** The shard's id generator, quoted, with its schema. */
  readonly nextId: string;
  /** The schema that holds the extension hstore, quoted: its types and operators are always named in full. */
  readonly hstoreSchema: string;
  readonly epoch: number;
}

/** Rows one insert may carry. */
const MAX_ROWS = 512;

/** `$1` kinds, `$2` bodies: stores them and returns place and id of each. */
function insertText({ table, nextId, hstoreSchema }: EntityPlace): string {
  return `
with given as materialized (
  select ${nextId}() as id, type, body, place
    from unnest($1::smallint[], $2::text[]) with ordinality as g (type, body, place)
), done as (
  insert into ${table} (id, type, body, updated)
  select id, type, body::${hstoreSchema}.hstore, date_trunc('milliseconds', clock_timestamp())
    from given
)
select place, id from given`;
}

/** Inserts whose ids the server makes. */
export function insertWithNewIds(place: EntityPlace): WriteSource {
  const { shardId, epoch } = place;
  const text = insertText(place);
  return {
    shardId,
    maxCalls: MAX_ROWS,
    nothing: [[], []],
    statement: (calls) => {
      const rows = calls as readonly EntityInsert[];
      return { text, values: [rows.map(({ kind }) => kind), rows.map(({ body }) => body)], types: RAW_TYPES };
    },
    settle: (calls, result) => {
      for (const [place, id] of result.rows as [string, string][]) {
        calls[Number(place) - 1]!.done(new Key(BigInt(id), { epoch }));
      }
    },
  };
}

/** Inserts of one caller that belong together: a statement of their own, so they are stored all or none. */
export function insertMany(place: EntityPlace): WriteSource {
  const { shardId, epoch } = place;
  const text = insertText(place);
  return {
    shardId,
    maxCalls: 1,
    nothing: [[], []],
    statement: ([call]) => {
      const { kind, bodies } = call as EntitiesInsert;
      return { text, values: [bodies.map(() => kind), bodies], types: RAW_TYPES };
    },
    settle: ([call], result) => {
      const keys: Key[] = [];
      for (const [row, id] of result.rows as [string, string][]) keys[Number(row) - 1] = new Key(BigInt(id), { epoch });
      (call as EntitiesInsert).done(keys);
    },
  };
}

/**
 * Inserts under ids that were reserved ahead. The same row again is no error and changes nothing; another row under
 * that id is a {@link KeyConflictError}.
 */
export function insertUnderGivenIds({ shardId, table, hstoreSchema, epoch }: EntityPlace): WriteSource {
  const text = `
with given as materialized (
  select id, type, body::${hstoreSchema}.hstore as body, place
    from unnest($1::bigint[], $2::smallint[], $3::text[]) with ordinality as g (id, type, body, place)
), done as (
  insert into ${table} (id, type, body, updated)
  select id, type, body, date_trunc('milliseconds', clock_timestamp())
    from given
      on conflict (id) do nothing
  returning id
)
select given.place,
       done.id is not null as inserted,
       there.id is not null as found,
       there.type = given.type and there.body operator(${hstoreSchema}.=) given.body as same
  from given
  left join done on done.id = given.id
  left join ${table} there on there.id = given.id`;
  return {
    shardId,
    maxCalls: MAX_ROWS,
    nothing: [[], [], []],
    statement: (calls) => {
      const rows = calls as readonly EntityInsert[];
      return {
        text,
        values: [rows.map(({ order }) => order), rows.map(({ kind }) => kind), rows.map(({ body }) => body)],
        types: RAW_TYPES,
      };
    },
    settle: (calls, result: QueryArrayResult) => {
      for (const [place, inserted, found, same] of result.rows as [string, string, string, string | null][]) {
        const call = calls[Number(place) - 1]! as EntityInsert;
        const key = new Key(BigInt(call.order), { epoch });
        if (inserted === 't' || same === 't') call.done(key);
        else call.fail(new KeyConflictError(key.id, found === 't'));
      }
    },
  };
}
