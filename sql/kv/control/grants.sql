-- The rights a role needs to read and write keys and values. May be run again without harm.
grant usage on schema hypervault to :"role";

grant select, insert, update, delete on
  hypervault.kv_namespaces,
  hypervault.kv_commits,
  hypervault.kv_heads
to :"role";

grant select on hypervault.ledger to :"role";

grant execute on function
  hypervault.kv_lock(text),
  hypervault.kv_next_revision(text),
  hypervault.kv_assert_version(text, text, integer),
  hypervault.kv_append(text, text, integer, bytea, text, text, timestamptz),
  hypervault.kv_notify(text, bigint),
  hypervault.kv_save(text, text, integer, bytea, text, text, timestamptz),
  hypervault.kv_save_many(text, text[], integer[], bytea[], text[], text[], timestamptz[]),
  hypervault.kv_save_all(
    text, text[], integer[], bytea[], text[], text[], timestamptz[], text[], integer[]
  ),
  hypervault.kv_import(text, text[], integer[], bytea[], text[], text[], timestamptz[], boolean),
  hypervault.kv_publish(text, text, integer, bytea, text, text, timestamptz),
  hypervault.kv_changes(text, bigint, text, integer),
  hypervault.kv_published(text, bigint, text),
  hypervault.kv_newest(text, text),
  hypervault.kv_compact(text, bigint),
  hypervault.kv_retain(text, integer, timestamptz, timestamptz, integer, boolean)
to :"role";
