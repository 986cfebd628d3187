-- The reference tables of a schema: all but the ledger. `keyed` says whether a row can be told from others, which
-- replication needs. Takes no lock.
create or replace function hypervault.reference_tables(schema text)
returns table (name text, oid oid, keyed boolean)
language sql
stable
as $$
  select
    class.relname::text,
    class.oid,
    exists (
      select
      from pg_catalog.pg_index as index
      where index.indrelid = class.oid
        and (index.indisprimary or index.indisreplident)
    )
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = reference_tables.schema
    and class.relkind = 'r'
    and class.relname <> 'hv_migrations'
  order by class.relname
$$;
