-- Forgets old versions: of each key those beyond a number of newest ones, or replaced before a time, whichever says so;
-- never the newest version, tombstone or not, and none that was replaced after `spare_since`. What stays of a key has no
-- holes. At most `max_gone` at a time, oldest first; returns how many went, or in a dry run would.
-- Watches that would begin before the last of them are refused from then on.
-- "Replaced" is when the next version was dated, by whoever dated it.
-- Lock: the namespace's row, until the end of the transaction; none in a dry run.
create or replace function :"schema".kv_retain(
  namespace text,
  max_versions integer,
  replaced_before timestamptz,
  spare_since timestamptz,
  max_gone integer,
  dry_run boolean
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _gone integer;
  _through bigint;
begin
  if not dry_run then
    perform hypervault.kv_lock(kv_retain.namespace);
  end if;
  with ranked as (
    select c.key, c.version, c.revision,
           row_number() over (partition by c.key order by c.version desc) as place,
           lead(c.mtime) over (partition by c.key order by c.version) as replaced
    from hypervault.kv_commits as c
    where c.namespace = kv_retain.namespace
  ), kept as (
    select r.key, min(r.version) as lowest
    from ranked as r
    where r.place = 1
      or r.replaced >= kv_retain.spare_since
      or (
        (kv_retain.max_versions is null or r.place <= kv_retain.max_versions)
        and (kv_retain.replaced_before is null or r.replaced >= kv_retain.replaced_before)
      )
    group by r.key
  ), doomed as (
    select r.key, r.version, r.revision
    from ranked as r
    join kept as k
      on k.key = r.key
      and r.version < k.lowest
    order by r.revision
    limit kv_retain.max_gone
  ), gone as (
    delete from hypervault.kv_commits as c
    using doomed as d
    where not kv_retain.dry_run
      and c.namespace = kv_retain.namespace
      and c.key = d.key
      and c.version = d.version
  )
  select count(*), max(d.revision)
  into _gone, _through
  from doomed as d;
  if _gone > 0 and not dry_run then
    update hypervault.kv_namespaces as n
    set compacted_through = greatest(n.compacted_through, _through)
    where n.namespace = kv_retain.namespace;
  end if;
  return _gone;
end
$$;
