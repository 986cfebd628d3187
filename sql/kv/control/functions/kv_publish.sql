-- Publishes one commit that is kept elsewhere, or nowhere: only ever forward. Returns whether anything changed.
-- Raises SV031 when the head is the same version with other content or a newer one, and when the key was removed and
-- the journal knows a newer version. DETAIL holds JSON: the key and the version that is known.
-- Lock: the namespace's row, until the end of the transaction; none when there is nothing to do.
create or replace function :"schema".kv_publish(
  namespace text,
  key text,
  version integer,
  payload bytea,
  author text,
  comment text,
  mtime timestamptz
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _head hypervault.kv_heads;
  _known integer;
  _revision bigint;
begin
  -- Mostly there is nothing to do, as when the auto-publisher comes by: look without the lock first.
  for _locked in 0 .. 1 loop
    select h.*
    into _head
    from hypervault.kv_heads as h
    where h.namespace = kv_publish.namespace
      and h.key = kv_publish.key;
    if _head.payload is null and kv_publish.payload is null
      or (_head.version, _head.payload, _head.author, _head.comment, _head.mtime)
        is not distinct from (
          kv_publish.version, kv_publish.payload, kv_publish.author, kv_publish.comment, kv_publish.mtime
        )
    then
      return false;
    end if;
    if _locked = 0 then
      perform hypervault.kv_lock(kv_publish.namespace);
    end if;
  end loop;
  -- A removed key may come back at any version that the journal has not gone past.
  if _head.payload is null then
    select max(c.version)
    into _known
    from hypervault.kv_commits as c
    where c.namespace = kv_publish.namespace
      and c.key = kv_publish.key
      and c.version > kv_publish.version;
  elsif _head.version >= kv_publish.version then
    _known := _head.version;
  end if;
  if _known is not null then
    raise exception using
      errcode = 'SV031',
      message = 'a version that is the same or newer is known already',
      detail = json_build_object('key', kv_publish.key, 'known', _known)::text;
  end if;
  _revision := hypervault.kv_next_revision(kv_publish.namespace);
  insert into hypervault.kv_heads (namespace, key, version, revision, payload, author, comment, mtime)
  values (
    kv_publish.namespace, kv_publish.key, kv_publish.version, _revision,
    kv_publish.payload, kv_publish.author, kv_publish.comment, kv_publish.mtime
  )
  on conflict (namespace, key) do update
    set version = excluded.version,
        revision = excluded.revision,
        payload = excluded.payload,
        author = excluded.author,
        comment = excluded.comment,
        mtime = excluded.mtime;
  perform hypervault.kv_notify(kv_publish.namespace, _revision);
  return true;
end
$$;
