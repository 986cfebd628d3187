-- Forgets the commits of a namespace up to a revision, except the newest one of each key, tombstone or not.
-- Watches that would begin before it are refused from then on. Returns how many commits are gone.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_compact(
  namespace text,
  through bigint
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _gone bigint;
begin
  perform hypervault.kv_lock(kv_compact.namespace);
  update hypervault.kv_namespaces as n
  set compacted_through = greatest(n.compacted_through, least(n.revision, kv_compact.through))
  where n.namespace = kv_compact.namespace;
  delete from hypervault.kv_commits as c
  where c.namespace = kv_compact.namespace
    and c.revision <= kv_compact.through
    and exists (
      select from hypervault.kv_commits as newer
      where newer.namespace = c.namespace
        and newer.key = c.key
        and newer.version > c.version
    );
  get diagnostics _gone = row_count;
  return _gone;
end
$$;
