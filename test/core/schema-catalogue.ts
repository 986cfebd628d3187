// What a schema holds, as text that can be committed and compared: tables, constraints, indexes, sequences, functions.
import type { TestDatabase } from '../support/database.ts';

export async function describeSchemas(db: TestDatabase, schemas: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const schema of schemas) {
    const { rows } = await db.query(CATALOGUE, [schema]);
    parts.push(`-- schema ${schema}\n\n${rows.map(({ line }) => line).join('\n')}\n`);
  }
  return parts.join('\n');
}

const CATALOGUE = `
  select line from (
    select 1 as part, class.relname || ':1' as place, format('create table %s (', class.oid::regclass) as line
    from pg_class as class
    where class.relnamespace = $1::text::regnamespace and class.relkind = 'r'
    union all
    select 1, class.relname || ':2' || lpad(attnum::text, 4, '0'),
      format('  %I %s%s%s', attname, format_type(atttypid, atttypmod),
        case when attnotnull then ' not null' else '' end,
        coalesce(' default ' || pg_get_expr(adbin, adrelid), ''))
    from pg_class as class
    join pg_attribute on attrelid = class.oid and attnum > 0 and not attisdropped
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where class.relnamespace = $1::text::regnamespace and class.relkind = 'r'
    union all
    select 1, class.relname || ':3' || conname,
      format('  constraint %I %s', conname, pg_get_constraintdef(pg_constraint.oid))
    from pg_class as class
    join pg_constraint on conrelid = class.oid and contype <> 'n'
    where class.relnamespace = $1::text::regnamespace
    union all
    select 1, class.relname || ':4', ');'
    from pg_class as class
    where class.relnamespace = $1::text::regnamespace and class.relkind = 'r'
    union all
    select 2, indexname, indexdef || ';'
    from pg_indexes
    where schemaname = $1::text
    union all
    select 3, sequencename, format('create sequence %I.%I as %s minvalue %s maxvalue %s increment %s cache %s%s;',
      schemaname, sequencename, data_type, min_value, max_value, increment_by, cache_size,
      case when cycle then ' cycle' else '' end)
    from pg_sequences
    where schemaname = $1::text
    union all
    select 4, proname, format('create function %s returns %s language %s%s%s%s;', pg_proc.oid::regprocedure,
      pg_get_function_result(pg_proc.oid), lanname,
      case provolatile when 'i' then ' immutable' when 's' then ' stable' else '' end,
      case when prosecdef then ' security definer' else '' end,
      coalesce(' set ' || array_to_string(proconfig, ' '), ''))
    from pg_proc
    join pg_language on pg_language.oid = prolang
    where pronamespace = $1::text::regnamespace
  ) as lines
  order by part, place collate "C"`;
