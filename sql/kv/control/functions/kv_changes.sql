-- The commits of a namespace after a revision, in order, and with each row how far the namespace has come; one row
-- without a commit when there is none, none at all when there is no such namespace. Read in one snapshot. No lock.
create or replace function :"schema".kv_changes(
  namespace text,
  after bigint,
  prefix text,
  max_commits integer
) returns table (
  newest bigint,
  compacted_through bigint,
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
  select n.revision, n.compacted_through, c.revision, c.key, c.version, c.payload, c.author, c.comment, c.mtime
  from hypervault.kv_namespaces as n
  left join lateral (
    select *
    from hypervault.kv_commits as k
    where k.namespace = kv_changes.namespace
      and k.revision > kv_changes.after
      and starts_with(k.key, kv_changes.prefix)
    order by k.revision
    limit kv_changes.max_commits
  ) as c on true
  where n.namespace = kv_changes.namespace
  order by c.revision
$$;
