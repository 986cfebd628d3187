// How the tables of a shard are made, in Postgres' own words. Whoever asks has set the search path to the shard alone, so that
// names in it come out bare and all others qualified.
import { TYPES_SQL } from '../postgres/catalogue/tables-sql.ts';

/** Types that tables of a shard ($1) can have: the shard's and the server's. Those of the many other shards would take their time. */
export const SHARD_TYPES_SQL = `
select found.*
  from (${TYPES_SQL}) as found
 where found.schema = $1
    or found.schema not in (
         select n.nspname
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          where c.relname = 'hv_owner'
       )
 order by found.schema, found.name`;

/** The user's tables in a shard ($1): all but those that are ours. Those that are no plain tables tell their kind. */
export const TABLES_SQL = `
select c.oid::int8 as oid, c.relname as name, format('%I', c.relname) as quoted, c.relkind as kind,
       c.relreplident as identity,
       (
         select format('%I', ic.relname)
           from pg_index i
           join pg_class ic on ic.oid = i.indexrelid
          where i.indrelid = c.oid
            and i.indisreplident
       ) as identity_index,
       array(select format('%s = %L', option_name, option_value) from pg_options_to_table(c.reloptions)) as options
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1
   and c.relkind in ('r', 'p', 'f')
   and c.relname <> 'entities'
   and c.relname not like 'hv\\_%'
   and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by c.relname collate "C"`;

/** What of a sequence \`q\` is not as \`create sequence\` makes it, but its type. */
const SEQUENCE_OPTIONS = `
  case when q.seqincrement <> 1 then format('increment by %s', q.seqincrement) end,
  case when q.seqmin <> 1 then format('minvalue %s', q.seqmin) end,
  case when q.seqmax <> case q.seqtypid when 'smallint'::regtype then 32767 when 'integer'::regtype then 2147483647
                                        else 9223372036854775807 end
       then format('maxvalue %s', q.seqmax) end,
  case when q.seqstart <> 1 then format('start with %s', q.seqstart) end,
  case when q.seqcache <> 1 then format('cache %s', q.seqcache) end,
  case when q.seqcycle then 'cycle' end`;

/** Columns of tables ($1) as \`create table\` takes them. */
export const COLUMNS_SQL = `
select a.attrelid::int8 as table_oid, a.atttypid::int8 as type_oid,
       concat_ws(' ',
         format('%I', a.attname),
         format_type(a.atttypid, a.atttypmod),
         case when a.attcollation <> t.typcollation then format('collate %s', a.attcollation::regcollation) end,
         case
           when a.attgenerated <> ''
           then format('generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                       case a.attgenerated when 's' then 'stored' else 'virtual' end)
           when a.attidentity <> ''
           then format('generated %s as identity (%s)', case a.attidentity when 'a' then 'always' else 'by default' end, numbering.options)
           else 'default ' || pg_get_expr(d.adbin, d.adrelid)
         end,
         case when a.attnotnull then 'not null' end
       ) as definition
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join lateral (
    select concat_ws(' ', format('sequence name %I', s.relname), ${SEQUENCE_OPTIONS}) as options
      from pg_depend p
      join pg_class s on s.oid = p.objid and s.relkind = 'S'
      join pg_sequence q on q.seqrelid = s.oid
     where p.classid = 'pg_class'::regclass
       and p.refclassid = 'pg_class'::regclass
       and p.refobjid = a.attrelid
       and p.refobjsubid = a.attnum
       and p.deptype = 'i'
  ) numbering on true
 where a.attrelid = any($1::oid[])
   and a.attnum > 0
   and not a.attisdropped
 order by a.attrelid, a.attnum`;

/** Sequences that belong to a column of the tables ($1), or that a default of theirs takes numbers from; none of identity columns. */
export const SEQUENCES_SQL = `
with used as (
  select p.objid as sequence, p.refobjid as table_oid, p.refobjsubid as attnum, true as owned
    from pg_depend p
   where p.classid = 'pg_class'::regclass
     and p.refclassid = 'pg_class'::regclass
     and p.refobjid = any($1::oid[])
     and p.refobjsubid > 0
     and p.deptype = 'a'
   union all
  select p.refobjid, d.adrelid, d.adnum, false
    from pg_attrdef d
    join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_class'::regclass
   where d.adrelid = any($1::oid[])
)
select distinct on (s.relname collate "C")
       u.table_oid::int8 as table_oid, format('%I', s.relname) as quoted,
       concat_ws(' ', case when q.seqtypid <> 'bigint'::regtype then format('as %s', format_type(q.seqtypid, null)) end,
                 ${SEQUENCE_OPTIONS}) as options,
       case when u.owned then format('%I', a.attname) end as "column"
  from used u
  join pg_class s on s.oid = u.sequence and s.relkind = 'S'
  join pg_namespace n on n.oid = s.relnamespace and n.nspname = $2
  join pg_sequence q on q.seqrelid = s.oid
  join pg_attribute a on a.attrelid = u.table_oid and a.attnum = u.attnum
 order by s.relname collate "C", u.owned desc, u.table_oid, u.attnum`;

/** Constraints of tables ($1): those of the key first, foreign keys last. */
export const CONSTRAINTS_SQL = `
select o.conrelid::int8 as table_oid, o.conname as name, format('%I', o.conname) as quoted, o.contype as kind,
       o.convalidated as validated, pg_get_constraintdef(o.oid) as definition,
       o.confrelid::int8 as parent_oid, case when o.confrelid <> 0 then o.confrelid::regclass::text end as parent
  from pg_constraint o
 where o.conrelid = any($1::oid[])
   and o.contype in ('p', 'u', 'x', 'c', 'f')
   and o.conparentid = 0
 order by o.conrelid, array_position(array['p', 'u', 'x', 'c', 'f'], o.contype::text), o.conname collate "C"`;

/** Indexes of tables ($1) that no constraint has made. */
export const INDEXES_SQL = `
select i.indrelid::int8 as table_oid, c.relname as name, pg_get_indexdef(i.indexrelid, 0, true) as statement
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where i.indrelid = any($1::oid[])
   and i.indislive
   and not exists (
     select from pg_constraint o
      where o.conindid = i.indexrelid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')
   )
 order by i.indrelid, c.relname collate "C"`;

/** Comments on tables ($1) and their columns. */
export const COMMENTS_SQL = `
select d.objoid::int8 as table_oid,
       case
         when d.objsubid = 0 then format('comment on table %I is %L', c.relname, d.description)
         else format('comment on column %I.%I is %L', c.relname, a.attname, d.description)
       end as statement
  from pg_description d
  join pg_class c on c.oid = d.objoid
  left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid
 where d.classoid = 'pg_class'::regclass
   and d.objoid = any($1::oid[])
 order by d.objoid, d.objsubid`;
