-- The tables of a shard whose rows a move carries: all but those that each copy keeps for itself, the owner row and the
-- ledgers, which are made on the target by the same files. Takes no lock.
create or replace function hypervault.move_tables(schema text)
returns table (name text, oid oid)
language sql
stable
as $$
  select class.relname::text, class.oid
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = move_tables.schema
    and class.relkind in ('r', 'p')
    and class.relname not in ('hv_owner', 'hv_ledger', 'hv_migrations')
  order by class.relname
$$;
