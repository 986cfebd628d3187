-- The rights that roles have in a schema, as statements for another server: tables, columns, sequences, functions, types;
-- for `hypervault` the schema itself too. A shard's own USAGE is not among them: it is what the flip gives and takes.
-- `kind` and `object` tell whether the object is there. Takes no lock.
create or replace function hypervault.move_grants(schema text)
returns table (kind text, object text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with object as (
    select
      case when class.relkind = 'S' then 'sequence' else 'table' end as kind,
      class.oid::regclass::text as object,
      class.relacl as acl,
      class.relowner as owner,
      null::text as part
    from pg_class as class
    where class.relnamespace = to_regnamespace(quote_ident(move_grants.schema))
      and class.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select 'table', class.oid::regclass::text, attribute.attacl, class.relowner, format('(%I)', attribute.attname)
    from pg_class as class
    join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum > 0
    where class.relnamespace = to_regnamespace(quote_ident(move_grants.schema))
      and not attribute.attisdropped
    union all
    select 'function', pg_proc.oid::regprocedure::text, pg_proc.proacl, pg_proc.proowner, null
    from pg_proc
    where pg_proc.pronamespace = to_regnamespace(quote_ident(move_grants.schema))
      and pg_proc.prokind in ('f', 'w')
    union all
    select 'schema', quote_ident(namespace.nspname), namespace.nspacl, namespace.nspowner, null
    from pg_namespace as namespace
    where namespace.nspname = move_grants.schema
      and namespace.nspname = 'hypervault'
  )
  select object.kind, object.object, format('revoke all on %s %s from public', object.kind, object.object)
  from object
  where object.acl is not null
    and object.kind = 'function'
    and not exists (select from aclexplode(object.acl) as given where given.grantee = 0)
  union all
  select
    object.kind,
    object.object,
    format(
      'grant %s%s on %s %s to %s%s',
      given.privilege_type,
      coalesce(' ' || object.part, ''),
      object.kind,
      object.object,
      case when given.grantee = 0 then 'public' else given.grantee::regrole::text end,
      case when given.is_grantable then ' with grant option' else '' end
    )
  from object
  cross join aclexplode(object.acl) as given
  where given.grantee <> object.owner
$$;
