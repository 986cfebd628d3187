import type { Client } from 'pg';

/** A column, with its type as this server names it. */
export interface ShapeColumn {
  readonly name: string;
  /** As the server writes it in a cast; qualified where it must be. */
  readonly type: string;
  /** The type's name without its schema: an extension may live elsewhere on the other server. */
  readonly plainType: string;
}

/** What one server holds under the name of a table. */
export interface TableShape {
  readonly table: string;
  /** By name. */
  readonly columns: readonly ShapeColumn[];
  /** Columns of the primary key, in its order; empty when there is none. */
  readonly key: readonly ShapeColumn[];
}

const LOOK = `
select class.relname as "table",
       (
         select jsonb_agg(
                  jsonb_build_object(
                    'name', attribute.attname,
                    'type', format_type(attribute.atttypid, attribute.atttypmod),
                    'plainType', type.typname || ':' || attribute.atttypmod
                  )
                  order by attribute.attname collate "C"
                )
         from pg_attribute as attribute
         join pg_type as type on type.oid = attribute.atttypid
         where attribute.attrelid = class.oid
           and attribute.attnum > 0
           and not attribute.attisdropped
       ) as columns,
       (
         select jsonb_agg(attribute.attname order by place.nth)
         from pg_index as index
         cross join unnest(index.indkey) with ordinality as place (attnum, nth)
         join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum = place.attnum
         where index.indrelid = class.oid
           and index.indisprimary
           and place.nth <= index.indnkeyatts
       ) as key
from pg_class as class
join pg_namespace as namespace on namespace.oid = class.relnamespace
where namespace.nspname = $1
  and class.relkind in ('r', 'p')
  and not class.relispartition
order by class.relname collate "C"`;

/** The tables of a schema, by name. */
export async function readShapes(client: Client, schema: string): Promise<Map<string, TableShape>> {
  const { rows } = await client.query<{ table: string; columns: ShapeColumn[] | null; key: string[] | null }>(LOOK, [
    schema,
  ]);
  return new Map(
    rows.map(({ table, columns, key }) => {
      const all = columns ?? [];
      const named = (key ?? []).map((name) => all.find((column) => column.name === name)!);
      return [table, { table, columns: all, key: named }];
    }),
  );
}

/** Why two tables can't be compared row by row, or `undefined` when they can. */
export function mismatchOf(source: TableShape | undefined, target: TableShape | undefined): string | undefined {
  if (source === undefined) return 'the source has no such table';
  if (target === undefined) return 'the target has no such table';
  if (source.key.length === 0) return 'it has no primary key on the source; add one, or leave the table out';
  if (names(source.key) !== names(target.key)) {
    return `its primary key is (${names(source.key)}) on the source and (${names(target.key)}) on the target`;
  }
  const there = new Map(target.columns.map(({ name, plainType }) => [name, plainType]));
  const differing = source.columns.filter(({ name, plainType }) => there.get(name) !== plainType);
  const more = target.columns.filter(({ name }) => !source.columns.some((column) => column.name === name));
  if (differing.length + more.length === 0) return undefined;
  return `its columns differ: ${names([...differing, ...more])}`;
}

function names(columns: readonly ShapeColumn[]): string {
  return columns.map(({ name }) => name).join(', ');
}
