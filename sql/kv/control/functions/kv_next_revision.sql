-- Takes the next revision of a namespace, and makes the namespace when it is new.
-- Lock: the namespace's row, until the end of the transaction; that is what makes revisions visible in order.
-- After a failover to an asynchronous standby the last commits may be lost, and readers may have seen their revisions.
-- So on another timeline than last time the counter jumps: no revision ever means two different commits.
create or replace function :"schema".kv_next_revision(namespace text)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _timeline integer := ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer;
  _revision bigint;
begin
  update hypervault.kv_namespaces as n
  set revision = n.revision + case when n.timeline = _timeline then 1 else 1000000 end,
      timeline = _timeline
  where n.namespace = kv_next_revision.namespace
  returning n.revision
  into _revision;
  if _revision is null then
    insert into hypervault.kv_namespaces as n (namespace, revision, timeline)
    values (kv_next_revision.namespace, 1, _timeline)
    on conflict (namespace) do update
      set revision = n.revision + 1
    returning n.revision
    into _revision;
  end if;
  return _revision;
end
$$;
