/** Base tables of schemas ($1), one of them by name ($2) or all. Partitions are part of their root. */
export const TABLES_SQL = `
select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned, c.relfilenode::int8 as storage,
       c.relpersistence = 'u' as unlogged, c.relreplident as identity,
       array(
         select format('%I.%I', ln.nspname, l.relname)
           from pg_partition_tree(c.oid) t
           join pg_class l on l.oid = t.relid
           join pg_namespace ln on ln.oid = l.relnamespace
          where t.isleaf and l.oid <> c.oid
          order by 1
       ) as partitions,
       array(select t.relid::oid::int8 from pg_partition_tree(c.oid) t where t.level > 0 and c.relkind = 'p') as partition_oids,
       array(
         select distinct l.relreplident::text
           from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid
          where t.isleaf and l.oid <> c.oid
       ) as partition_identities,
       obj_description(c.oid, 'pg_class') as comment,
       sizes.rows::float8 as rows, sizes.bytes::float8 as bytes
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join lateral (
   select sum(greatest(p.reltuples, case when p.reltuples < 0 then pg_relation_size(p.oid) / 100 else 0 end)) as rows,
          sum(pg_table_size(p.oid)) as bytes
     from pg_class p
    where p.oid = c.oid
       or p.oid in (select t.relid from pg_partition_tree(c.oid) t where c.relkind = 'p' and t.isleaf)
 ) sizes
 where n.nspname = any($1)
   and ($2::text is null or c.relname = $2)
   and c.relkind in ('r', 'p')
   and not c.relispartition
   and c.relpersistence <> 't'
   and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 2, 3`;

export const COLUMNS_SQL = `
select a.attrelid::int8 as table_oid, a.attnum, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       a.atttypid::int8 as type_oid, a.atttypmod as typmod, a.attnotnull as required,
       a.xmin::text as changed, a.attidentity as identity, a.attgenerated as generated, a.attstorage <> 'p' as large,
       pg_get_expr(d.adbin, d.adrelid) as expression,
       case when a.attcollation <> t.typcollation
            then (select format('%I.%I', n.nspname, l.collname)
                    from pg_collation l join pg_namespace n on n.oid = l.collnamespace
                   where l.oid = a.attcollation)
        end as collation,
       col_description(a.attrelid, a.attnum) as comment,
       case when a.atthasmissing then a.attmissingval::text::text[] end as missing,
       owned.sequence, next.value::text as next_number
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join lateral (
    select s.oid as sequence
      from pg_depend p
      join pg_class s on s.oid = p.objid and s.relkind = 'S'
     where p.classid = 'pg_class'::regclass
       and p.refclassid = 'pg_class'::regclass
       and p.refobjid = a.attrelid
       and p.refobjsubid = a.attnum
       and p.deptype in ('a', 'i')
     limit 1
  ) owned on true
  left join lateral (
    select coalesce(pg_sequence_last_value(owned.sequence) + q.seqincrement, q.seqstart) as value
      from pg_sequence q
     where q.seqrelid = owned.sequence
  ) next on true
 where a.attrelid = any($1::oid[])
   and a.attnum > 0
   and not a.attisdropped
 order by a.attrelid, a.attnum`;

export const INDEXES_SQL = `
select i.indrelid::int8 as table_oid, c.relname as name, i.indisprimary as is_primary, i.indisunique as is_unique,
       i.indisreplident as is_identity, i.indexprs is null and i.indpred is null as plain,
       substr(
         pg_get_indexdef(i.indexrelid),
         length(format('CREATE %sINDEX %I ON %s%I.%I ', case when i.indisunique then 'UNIQUE ' end, c.relname,
                       case when c.relkind = 'I' then 'ONLY ' end, n.nspname, t.relname)) + 1
       ) as definition,
       o.conname as "constraint", pg_get_constraintdef(o.oid) as constraint_definition,
       array(
         select a.attname::text
           from unnest(i.indkey::int2[]) with ordinality k (attnum, place)
           join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
          where k.place <= i.indnkeyatts
          order by k.place
       ) as columns
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class t on t.oid = i.indrelid
  join pg_namespace n on n.oid = t.relnamespace
  left join pg_constraint o on o.conindid = i.indexrelid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')
 where i.indrelid = any($1::oid[])
   and i.indislive
 order by i.indrelid, c.relname`;

export const CONSTRAINTS_SQL = `
select o.conrelid::int8 as table_oid, o.conname as name, o.contype as kind, pg_get_expr(o.conbin, o.conrelid) as expression,
       o.confdeltype as on_delete, o.confupdtype as on_update, o.condeferrable as deferrable, o.condeferred as deferred,
       n.nspname as parent_schema, p.relname as parent_table,
       array(
         select a.attname::text
           from unnest(o.conkey) with ordinality k (attnum, place)
           join pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum
          order by k.place
       ) as columns,
       array(
         select a.attname::text
           from unnest(o.confkey) with ordinality k (attnum, place)
           join pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.attnum
          order by k.place
       ) as parent_columns
  from pg_constraint o
  left join pg_class p on p.oid = o.confrelid
  left join pg_namespace n on n.oid = p.relnamespace
 where o.conrelid = any($1::oid[])
   and o.contype in ('c', 'f')
   and o.conparentid = 0
 order by o.conrelid, o.conname`;

/** Functions of the user that defaults, generated columns, checks and indexes call. */
export const FUNCTIONS_SQL = `
select distinct used.table_oid::int8 as table_oid, used.function::regprocedure::text as function
  from (
    select d.adrelid as table_oid, p.refobjid as function
      from pg_attrdef d
      join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid
     where p.refclassid = 'pg_proc'::regclass
    union all
    select o.conrelid, p.refobjid
      from pg_constraint o
      join pg_depend p on p.classid = 'pg_constraint'::regclass and p.objid = o.oid
     where p.refclassid = 'pg_proc'::regclass and o.contype = 'c'
    union all
    select i.indrelid, p.refobjid
      from pg_index i
      join pg_depend p on p.classid = 'pg_class'::regclass and p.objid = i.indexrelid
     where p.refclassid = 'pg_proc'::regclass
  ) used
  join pg_proc f on f.oid = used.function
  join pg_namespace n on n.oid = f.pronamespace
 where used.table_oid = any($1::oid[])
   and n.nspname <> 'pg_catalog'
   and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
 order by 1, 2`;

/** Every type that is not of the system, with what it is made of. */
export const TYPES_SQL = `
select t.oid::int8 as oid, n.nspname as schema, t.typname as name, t.typtype as kind, t.typelem::int8 as element,
       t.typcategory = 'A' as is_array, t.typbasetype::int8 as base_oid,
       format_type(t.typbasetype, t.typtypmod) as base, t.typnotnull as required, t.typdefault as "default",
       e.extname as extension, en.nspname as extension_schema,
       array(select l.enumlabel::text from pg_enum l where l.enumtypid = t.oid order by l.enumsortorder) as labels,
       array(
         select format('constraint %I %s', o.conname, pg_get_constraintdef(o.oid))
           from pg_constraint o where o.contypid = t.oid and o.contype = 'c' order by o.conname
       ) as checks,
       array(
         select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
           from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum
       ) as attributes,
       array(
         select a.atttypid::int8
           from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
       ) as attribute_oids,
       r.rngsubtype::int8 as subtype_oid, format_type(r.rngsubtype, null) as subtype,
       format_type(r.rngmultitypid, null) as multirange, m.rngtypid::int8 as range_oid,
       c.relkind as relation_kind
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
  left join pg_extension e on e.oid = d.refobjid
  left join pg_namespace en on en.oid = e.extnamespace
  left join pg_range r on r.rngtypid = t.oid
  left join pg_range m on m.rngmultitypid = t.oid
  left join pg_class c on c.oid = t.typrelid
 where n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname not like 'pg_toast%'
   and n.nspname not like 'pg_temp%'`;
