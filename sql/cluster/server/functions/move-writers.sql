-- Transactions that have written to a shard and are open: by their virtual ids. One that is there twice, a moment apart,
-- is a long one, and a pause would wait for it. Takes no lock; needs no right to see other sessions.
create or replace function hypervault.move_writers(schema text)
returns setof text
language sql
volatile
as $$
  select distinct locks.virtualtransaction
  from pg_catalog.pg_locks as locks
  join pg_catalog.pg_class as class on class.oid = locks.relation
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = move_writers.schema
    and class.relkind = 'r'
    and locks.database = (select pg_database.oid from pg_catalog.pg_database where datname = current_database())
    and locks.granted
    and locks.mode in ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and locks.pid is distinct from pg_backend_pid()
$$;
