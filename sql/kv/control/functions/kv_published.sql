-- What is published in a namespace under a prefix and changed after a revision (0: everything that is there), removed
-- keys without a payload; with each row how far the namespace has come, and the timeline of this server, which tells that another
-- one took over. One row without a key when nothing changed. Read in one snapshot. No lock.
create or replace function :"schema".kv_published(
  namespace text,
  after bigint,
  prefix text
) returns table (
  newest bigint,
  timeline text,
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
  select coalesce(n.revision, 0),
         case when pg_is_in_recovery() then '' else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end,
         h.revision, h.key, h.version, h.payload, h.author, h.comment, h.mtime
  from (values (1)) as one (row)
  left join hypervault.kv_namespaces as n
    on n.namespace = kv_published.namespace
  left join hypervault.kv_heads as h
    on h.namespace = kv_published.namespace
    and h.revision > kv_published.after
    and (kv_published.after > 0 or h.payload is not null)
    and starts_with(h.key, kv_published.prefix)
  order by h.revision
$$;
