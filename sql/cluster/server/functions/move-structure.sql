-- What a shard is made of, as lines that can be compared with those of another copy: tables, columns, constraints,
-- indexes, sequences, functions, triggers, types, views, policies. Dropped columns and the order of columns do not count,
-- nor the ledgers and what moves put there themselves. Takes no lock.
create or replace function hypervault.move_structure(schema text)
returns table (kind text, name text, definition text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with namespace as (
    select namespace.oid
    from pg_namespace as namespace
    where namespace.nspname = move_structure.schema
  ), class as (
    select class.*
    from pg_class as class
    join namespace on namespace.oid = class.relnamespace
    where class.relname not in ('hv_move', 'hv_ledger', 'hv_migrations')
      and class.relname not like 'hv\_move\_%'
  )
  select 'table', class.relname::text, concat_ws(' ', class.relkind, class.relpersistence, class.relreplident,
    class.relrowsecurity, class.relforcerowsecurity)
  from class
  where class.relkind in ('r', 'p', 'f', 'm')
  union all
  select 'column', format('%I.%I', class.relname, attribute.attname),
    concat_ws(
      ' ',
      format_type(attribute.atttypid, attribute.atttypmod),
      case when attribute.attnotnull then 'not null' end,
      nullif(attribute.attidentity, ''),
      nullif(attribute.attgenerated, ''),
      collated.collname,
      pg_get_expr(attrdef.adbin, attrdef.adrelid)
    )
  from class
  join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
  left join pg_attrdef as attrdef on attrdef.adrelid = class.oid and attrdef.adnum = attribute.attnum
  left join pg_collation as collated on collated.oid = attribute.attcollation
  where class.relkind in ('r', 'p', 'f')
  union all
  select 'constraint', format('%I.%I', class.relname, pg_constraint.conname), pg_get_constraintdef(pg_constraint.oid)
  from class
  join pg_constraint on pg_constraint.conrelid = class.oid
  where pg_constraint.contype <> 'n'
  union all
  select 'index', index_class.relname::text, pg_get_indexdef(index.indexrelid)
  from class
  join pg_index as index on index.indrelid = class.oid
  join pg_class as index_class on index_class.oid = index.indexrelid
  where class.relkind in ('r', 'p', 'm')
  union all
  select 'sequence', class.relname::text, concat_ws(' ', sequence.seqtypid::regtype, sequence.seqincrement,
    sequence.seqcache)
  from class
  join pg_sequence as sequence on sequence.seqrelid = class.oid
  union all
  select 'view', class.relname::text, pg_get_viewdef(class.oid)
  from class
  where class.relkind in ('v', 'm')
  union all
  select 'function', pg_proc.oid::regprocedure::text, md5(case when pg_proc.prokind = 'a' then pg_proc.prosrc
    else pg_get_functiondef(pg_proc.oid) end)
  from pg_proc
  join namespace on namespace.oid = pg_proc.pronamespace
  union all
  select 'trigger', format('%I.%I', class.relname, pg_trigger.tgname),
    concat_ws(' ', pg_trigger.tgenabled, pg_get_triggerdef(pg_trigger.oid))
  from class
  join pg_trigger on pg_trigger.tgrelid = class.oid
  where not pg_trigger.tgisinternal
    and pg_trigger.tgname <> 'hv_fence'
  union all
  select 'type', pg_type.typname::text, concat_ws(' ', pg_type.typtype, format_type(pg_type.typbasetype, pg_type.typtypmod), (
    select string_agg(pg_enum.enumlabel, ',' order by pg_enum.enumsortorder)
    from pg_enum
    where pg_enum.enumtypid = pg_type.oid
  ))
  from pg_type
  join namespace on namespace.oid = pg_type.typnamespace
  where pg_type.typtype in ('e', 'd', 'r')
  union all
  select 'policy', format('%I.%I', class.relname, pg_policy.polname), concat_ws(' ', pg_policy.polcmd,
    pg_get_expr(pg_policy.polqual, pg_policy.polrelid), pg_get_expr(pg_policy.polwithcheck, pg_policy.polrelid))
  from class
  join pg_policy on pg_policy.polrelid = class.oid
$$;
