-- The fence: a trigger before every statement that writes to a table of a shard that lives elsewhere, or will at once.
-- Raises SV004 with the epoch and the server to ask. Replication passes: its workers run as replicas, for which
-- triggers of this kind do not fire. Everybody else does not, superusers included. Takes no lock.
create or replace function hypervault.refuse_moved()
returns trigger
language plpgsql
as $$
begin
  raise exception using
    errcode = 'SV004',
    message = format('%I lives on %s since epoch %s of the shard map', tg_table_schema, tg_argv[1], tg_argv[0]),
    detail = json_build_object('epoch', tg_argv[0], 'server', tg_argv[1])::text,
    hint = 'Read the newest shard map and go there; the Datastore does so by itself over a live map.';
end
$$;
