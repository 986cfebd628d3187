-- Adds one commit to the journal and publishes it as the head of its key, in the caller's transaction.
-- Raises SV030 when its version is not the newest + 1.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_append(
  namespace text,
  key text,
  version integer,
  payload bytea,
  author text,
  comment text,
  mtime timestamptz
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _revision bigint := hypervault.kv_next_revision(kv_append.namespace);
begin
  perform hypervault.kv_assert_version(kv_append.namespace, kv_append.key, kv_append.version - 1);
  insert into hypervault.kv_commits (namespace, key, version, revision, payload, author, comment, mtime)
  values (
    kv_append.namespace, kv_append.key, kv_append.version, _revision,
    kv_append.payload, kv_append.author, kv_append.comment, kv_append.mtime
  );
  -- A keeper may have published a newer version from elsewhere; what is published never goes back.
  insert into hypervault.kv_heads as h (namespace, key, version, revision, payload, author, comment, mtime)
  values (
    kv_append.namespace, kv_append.key, kv_append.version, _revision,
    kv_append.payload, kv_append.author, kv_append.comment, kv_append.mtime
  )
  on conflict (namespace, key) do update
    set version = excluded.version,
        revision = excluded.revision,
        payload = excluded.payload,
        author = excluded.author,
        comment = excluded.comment,
        mtime = excluded.mtime
    where h.version < excluded.version;
  return _revision;
end
$$;
