-- Says on the channel hypervault_kv that a namespace has changed, at the end of the transaction. A hint: the tables
-- are the truth. In-transaction NOTIFY makes commits of the whole database that notify wait for each other; the
-- writers of one namespace do so anyway.
create or replace function :"schema".kv_notify(
  namespace text,
  revision bigint
) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_notify(
    'hypervault_kv',
    json_build_object('namespace', kv_notify.namespace, 'revision', kv_notify.revision::text)::text
  )
$$;
