-- The fence: a trigger before every statement that writes to a table of a shard that lives elsewhere, or will at once.
-- Raises SV004 with the epoch and the server that the shard's owner row names; its arguments say them as long as the row
-- names none. Replication passes: its workers run as replicas, for which triggers of this kind do not fire. Everybody else
-- does not, superusers included. Runs as its owner, since a writer may have lost the right to look. Takes no lock.
create or replace function hypervault.refuse_moved()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _epoch text;
  _server text;
begin
  execute format('select owner.epoch, owner.server from %I.hv_owner as owner', tg_table_schema)
  into _epoch, _server;
  if _server is null then
    _epoch := tg_argv[0];
    _server := tg_argv[1];
  end if;
  raise exception using
    errcode = 'SV004',
    message = format('%I lives on %s since epoch %s of the shard map', tg_table_schema, _server, _epoch),
    detail = json_build_object('epoch', _epoch, 'server', _server)::text,
    hint = 'Read the newest shard map and go there; the Datastore does so by itself over a live map.';
end
$$;
