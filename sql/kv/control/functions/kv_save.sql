-- Saves one commit: journal, head and notification together. Returns its revision.
-- Raises SV030 when its version is not the newest + 1; a version that is taken already is refused without waiting.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_save(
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
  _revision bigint;
begin
  if exists (
    select from hypervault.kv_commits as c
    where c.namespace = kv_save.namespace
      and c.key = kv_save.key
      and c.version >= kv_save.version
  ) then
    perform hypervault.kv_assert_version(kv_save.namespace, kv_save.key, kv_save.version - 1);
  end if;
  _revision := hypervault.kv_append(
    kv_save.namespace, kv_save.key, kv_save.version,
    kv_save.payload, kv_save.author, kv_save.comment, kv_save.mtime
  );
  perform hypervault.kv_notify(kv_save.namespace, _revision);
  return _revision;
end
$$;
