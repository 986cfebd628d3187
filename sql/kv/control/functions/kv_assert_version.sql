-- Raises SV030 unless the newest version of a key in the journal is the given one (0: the key was never saved).
-- DETAIL holds JSON: the key, its newest version, and the one that was asked for.
-- No lock: final only for a caller that holds the namespace, or when the given version is already taken.
create or replace function :"schema".kv_assert_version(
  namespace text,
  key text,
  version integer
) returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _newest integer;
begin
  select coalesce(max(c.version), 0)
  into _newest
  from hypervault.kv_commits as c
  where c.namespace = kv_assert_version.namespace
    and c.key = kv_assert_version.key;
  if _newest <> kv_assert_version.version then
    raise exception using
      errcode = 'SV030',
      message = 'the version is not the next one of its key',
      detail = json_build_object('key', kv_assert_version.key, 'newest', _newest, 'asked', kv_assert_version.version)::text;
  end if;
end
$$;
