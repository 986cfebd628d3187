-- Saves commits of several writers that have nothing to do with each other in one transaction: one wait for the disk
-- and one notification for all. Given as arrays of the same length, each key at most once. Returns a row for each, in
-- their order: its revision, or null when its version is not the next one of its key, and the newest version before.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_save_many(
  namespace text,
  keys text[],
  versions integer[],
  payloads bytea[],
  authors text[],
  comments text[],
  mtimes timestamptz[]
) returns table (
  revision bigint,
  newest integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _newest integer[];
  _fitting integer;
  _first bigint;
begin
  perform hypervault.kv_lock(kv_save_many.namespace);
  select array_agg(coalesce(n.version, 0) order by u.at),
         count(*) filter (where versions[u.at] = coalesce(n.version, 0) + 1)
  into _newest, _fitting
  from unnest(keys) with ordinality as u (key, at)
  left join lateral (
    select c.version
    from hypervault.kv_commits as c
    where c.namespace = kv_save_many.namespace
      and c.key = u.key
    order by c.version desc
    limit 1
  ) as n on true;
  if _fitting > 0 then
    _first := hypervault.kv_next_revision(kv_save_many.namespace);
    if _fitting > 1 then
      update hypervault.kv_namespaces as n
      set revision = _first + _fitting - 1
      where n.namespace = kv_save_many.namespace;
    end if;
    with fitting as (
      select u.*, _first + row_number() over (order by u.at) - 1 as revision
      from unnest(keys, versions, payloads, authors, comments, mtimes, _newest)
        with ordinality as u (key, version, payload, author, comment, mtime, newest, at)
      where u.version = u.newest + 1
    ), kept as (
      insert into hypervault.kv_commits (namespace, key, version, revision, payload, author, comment, mtime)
      select kv_save_many.namespace, f.key, f.version, f.revision, f.payload, f.author, f.comment, f.mtime
      from fitting as f
    )
    -- A keeper may have published a newer version from elsewhere; what is published never goes back.
    insert into hypervault.kv_heads as h (namespace, key, version, revision, payload, author, comment, mtime)
    select kv_save_many.namespace, f.key, f.version, f.revision, f.payload, f.author, f.comment, f.mtime
    from fitting as f
    on conflict (namespace, key) do update
      set version = excluded.version,
          revision = excluded.revision,
          payload = excluded.payload,
          author = excluded.author,
          comment = excluded.comment,
          mtime = excluded.mtime
      where h.version < excluded.version;
    perform hypervault.kv_notify(kv_save_many.namespace, _first + _fitting - 1);
  end if;
  return query
  select case when s.fits then _first + s.before end, s.newest
  from (
    select u.at, u.newest, u.version = u.newest + 1 as fits,
           count(*) filter (where u.version = u.newest + 1) over (order by u.at) - 1 as before
    from unnest(versions, _newest) with ordinality as u (version, newest, at)
  ) as s
  order by s.at;
end
$$;
