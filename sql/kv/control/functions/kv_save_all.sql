-- Saves several commits, all or none, given as arrays of the same length, and returns their revisions in that order.
-- Before that, the newest versions of further keys must be as given (0: never saved). Raises SV030 for the first key
-- that does not fit.
-- Lock: the namespace's row, until the end of the transaction.
create or replace function :"schema".kv_save_all(
  namespace text,
  keys text[],
  versions integer[],
  payloads bytea[],
  authors text[],
  comments text[],
  mtimes timestamptz[],
  compare_keys text[],
  compare_versions integer[]
) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _revisions bigint[] := '{}';
begin
  -- Nobody else writes between the comparison and the commits.
  perform hypervault.kv_lock(kv_save_all.namespace);
  for _at in 1 .. cardinality(compare_keys) loop
    perform hypervault.kv_assert_version(kv_save_all.namespace, compare_keys[_at], compare_versions[_at]);
  end loop;
  for _at in 1 .. cardinality(keys) loop
    _revisions := _revisions || hypervault.kv_append(
      kv_save_all.namespace, keys[_at], versions[_at], payloads[_at], authors[_at], comments[_at], mtimes[_at]
    );
  end loop;
  perform hypervault.kv_notify(kv_save_all.namespace, _revisions[cardinality(_revisions)]);
  return _revisions;
end
$$;
