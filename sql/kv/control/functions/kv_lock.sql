-- Locks a namespace against other writers until the end of the transaction, and makes it when it is new.
-- Lock: the namespace's row.
create or replace function :"schema".kv_lock(namespace text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform from hypervault.kv_namespaces as n
  where n.namespace = kv_lock.namespace
  for update;
  if not found then
    insert into hypervault.kv_namespaces (namespace, revision, timeline)
    values (kv_lock.namespace, 0, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer)
    on conflict (namespace) do nothing;
    perform from hypervault.kv_namespaces as n
    where n.namespace = kv_lock.namespace
    for update;
  end if;
end
$$;
