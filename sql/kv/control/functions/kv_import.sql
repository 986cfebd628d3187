-- Brings in commits that were made elsewhere, with their versions, authors, comments and times, given as arrays of the
-- same length in the order in which they get their revisions. Returns the last of those.
-- Raises SV030 for the first one whose version is not the next one of its key; with gaps, one that is not above the
-- newest: history that was compacted elsewhere begins later than with 1.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_import(
  namespace text,
  keys text[],
  versions integer[],
  payloads bytea[],
  authors text[],
  comments text[],
  mtimes timestamptz[],
  gaps boolean
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _wrong record;
  _first bigint;
  _last bigint;
begin
  perform hypervault.kv_lock(kv_import.namespace);
  select s.key, s.version, s.before
  into _wrong
  from (
    select u.at, u.key, u.version,
           coalesce(lag(u.version) over (partition by u.key order by u.at), n.newest, 0) as before
    from unnest(keys, versions) with ordinality as u (key, version, at)
    left join (
      select c.key, max(c.version) as newest
      from hypervault.kv_commits as c
      where c.namespace = kv_import.namespace
        and c.key = any (keys)
      group by c.key
    ) as n
      on n.key = u.key
  ) as s
  where s.version <= s.before
    or (not gaps and s.version <> s.before + 1)
  order by s.at
  limit 1;
  if found then
    raise exception using
      errcode = 'SV030',
      message = 'the version is not the next one of its key',
      detail = json_build_object('key', _wrong.key, 'newest', _wrong.before, 'asked', _wrong.version - 1)::text;
  end if;
  _first := hypervault.kv_next_revision(kv_import.namespace);
  _last := _first + cardinality(keys) - 1;
  update hypervault.kv_namespaces as n
  set revision = _last
  where n.namespace = kv_import.namespace;
  insert into hypervault.kv_commits (namespace, key, version, revision, payload, author, comment, mtime)
  select kv_import.namespace, u.key, u.version, _first + u.at - 1, u.payload, u.author, u.comment, u.mtime
  from unnest(keys, versions, payloads, authors, comments, mtimes)
    with ordinality as u (key, version, payload, author, comment, mtime, at);
  -- A keeper may have published a newer version from elsewhere; what is published never goes back.
  insert into hypervault.kv_heads as h (namespace, key, version, revision, payload, author, comment, mtime)
  select distinct on (u.key)
         kv_import.namespace, u.key, u.version, _first + u.at - 1, u.payload, u.author, u.comment, u.mtime
  from unnest(keys, versions, payloads, authors, comments, mtimes)
    with ordinality as u (key, version, payload, author, comment, mtime, at)
  order by u.key, u.version desc
  on conflict (namespace, key) do update
    set version = excluded.version,
        revision = excluded.revision,
        payload = excluded.payload,
        author = excluded.author,
        comment = excluded.comment,
        mtime = excluded.mtime
    where h.version < excluded.version;
  perform hypervault.kv_notify(kv_import.namespace, _last);
  return _last;
end
$$;
