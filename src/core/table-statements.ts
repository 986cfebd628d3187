import type { CustomTypesConfig } from 'pg';
import { quoteIdentifier } from '../internal/quote.ts';
import { RowNotReturnedError, VersionConflictError } from './errors.ts';
import type { ReadSource } from './gathered-reads.ts';
import type { WriteCall, WriteSource } from './gathered-writes.ts';
import { type RowInput, rowToJson } from './row-json.ts';
import { rowObject } from './table-rows.ts';

/** Where one shard keeps a table of the user's. */
export interface TablePlace {
  readonly shardId: number;
  /** Quoted, with its schema. */
  readonly table: string;
  readonly nextId: string;
  readonly types: CustomTypesConfig;
  /** The column that routes, when it is not the id. */
  readonly by: string | undefined;
  readonly versionColumn: string | undefined;
}

/** A row to insert. */
export interface RowInsert extends WriteCall {
  readonly row: RowInput;
}

/** A change, or a removal, of the row whose id is `order`. */
export interface RowChange extends WriteCall {
  readonly changes: RowInput;
  readonly columns: readonly string[];
  /** The routing value as text, for tables routed by a column. */
  readonly routedBy: string | null;
  readonly ifVersion: string | null;
}

/** Rows one insert may carry. */
const MAX_ROWS = 512;

export function tableReadSource({ shardId, table, types }: TablePlace): ReadSource {
  return {
    shardId,
    selectOne: `select t.id::text, t.* from ${table} t where t.id = $1::bigint`,
    selectMany: `select t.id::text, t.* from ${table} t where t.id = any($1::bigint[])`,
    types,
    decode: (row, result) => rowObject(row, result, 1),
  };
}

/** Inserts rows that name the same columns. Without an id, `next_id()` gives one when ids route. */
export function insertRows(place: TablePlace, columns: readonly string[]): WriteSource {
  const { shardId, table, nextId, types, by } = place;
  const hasId = columns.includes('id');
  const makesId = !hasId && by === undefined;
  const given = columns.filter((column) => column !== 'id').map(quoteIdentifier);
  const names = ['id', ...given];
  const values = [hasId ? 'r.id' : `${nextId}()`, ...given.map((name) => `r.${name}`)];
  const many = `
with given as materialized (
  select g.place as hv_place, ${values.map((value, i) => `${value} as ${names[i]}`).join(', ')}
    from json_array_elements($1::json) with ordinality as g (doc, place)
   cross join lateral json_populate_record(null::${table}, g.doc) as r
), done as (
  insert into ${table} (${names.join(', ')})
  select ${names.join(', ')}
    from given
  returning *
)
select given.hv_place, done.*
  from done
  join given on given.id = done.id`;
  const single = `
insert into ${table} as t (${given.join(', ')})
select ${given.map((name) => `r.${name}`).join(', ')}
  from json_populate_record(null::${table}, $1::json -> 0) as r
returning 1, t.*`;
  return {
    shardId,
    // The id of a table that routes by a column may come from any default, so the reply can't be matched to many rows.
    maxCalls: hasId || makesId ? MAX_ROWS : 1,
    // The single form makes a row even of an empty list.
    ...((hasId || makesId) && { nothing: ['[]'] }),
    statement: (calls) => ({
      text: hasId || makesId ? many : single,
      values: [`[${(calls as readonly RowInsert[]).map(({ row }) => rowToJson(row, columns)).join(',')}]`],
      types,
    }),
    settle: (calls, result) => {
      for (const row of result.rows) calls[Number(row[0]) - 1]!.done(rowObject(row, result, 1));
    },
  };
}

/** Sets columns of one row; with a version column, counts it up and compares it when the caller asks for that. */
export function updateRow(place: TablePlace, columns: readonly string[]): WriteSource {
  const version = place.versionColumn === undefined ? undefined : quoteIdentifier(place.versionColumn);
  const set = columns.map((column) => `${quoteIdentifier(column)} = r.${quoteIdentifier(column)}`);
  if (version !== undefined && !columns.includes(place.versionColumn!)) set.push(`${version} = t.${version} + 1`);
  return changeSource(
    place,
    `
  update ${place.table} t
     set ${set.join(',\n         ')}
    from there, json_populate_record(null::${place.table}, $2::json) as r
   where t.id = there.id`,
  );
}

/** Removes one row. */
export function removeRow(place: TablePlace): WriteSource {
  return changeSource(
    place,
    `
  delete from ${place.table} t
   using there
   where t.id = there.id
     and $2::json is not null`,
  );
}

function changeSource({ shardId, table, types, by, versionColumn }: TablePlace, change: string): WriteSource {
  const version = versionColumn === undefined ? 'null::bigint' : `t.${quoteIdentifier(versionColumn)}::bigint`;
  const text = `
with there as materialized (
  select t.id, ${version} as hv_version
    from ${table} t
   where t.id = $1::bigint
     and ($3::text is null or ${by === undefined ? 'true' : `t.${quoteIdentifier(by)}::text = $3::text`})
     for update
), done as (${change}
     and ($4::bigint is null or there.hv_version = $4::bigint)
  returning t.*
)
select there.hv_version::text, done.id is not null, done.*
  from there
  left join done on done.id = there.id`;
  return {
    shardId,
    maxCalls: 1,
    nothing: [null, null, null, null],
    statement: ([call]) => {
      const { order, changes, columns, routedBy, ifVersion } = call as RowChange;
      return { text, values: [order, rowToJson(changes, columns), routedBy, ifVersion], types };
    },
    settle: ([call], result) => {
      const row = result.rows[0];
      if (row === undefined) call!.done(null);
      else if (row[1] === true) call!.done(rowObject(row, result, 2));
      else {
        const { order, ifVersion } = call as RowChange;
        if (ifVersion === null) call!.fail(new RowNotReturnedError());
        else call!.fail(new VersionConflictError(order, ifVersion, String(row[0])));
      }
    },
  };
}
