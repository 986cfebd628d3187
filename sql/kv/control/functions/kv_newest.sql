-- The newest commit of each key whose name begins with a prefix, tombstones included, by key; with each row the
-- revision of the namespace. One row without a key when there is none. Read in one snapshot. No lock.
create or replace function :"schema".kv_newest(
  namespace text,
  prefix text
) returns table (
  newest bigint,
  revision bigint,
  key text,
  version integer,
  payload bytea,
  author text,
  comment text,
  mtime timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(n.revision, 0), c.revision, c.key, c.version, c.payload, c.author, c.comment, c.mtime
  from (values (1)) as one (row)
  left join hypervault.kv_namespaces as n
    on n.namespace = kv_newest.namespace
  left join (
    select k.key, max(k.version) as version
    from hypervault.kv_commits as k
    where k.namespace = kv_newest.namespace
      and starts_with(k.key, kv_newest.prefix)
    group by k.key
  ) as m on true
  left join hypervault.kv_commits as c
    on c.namespace = kv_newest.namespace
    and c.key = m.key
    and c.version = m.version
  order by c.key
$$;
