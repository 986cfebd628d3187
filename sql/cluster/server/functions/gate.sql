-- The gate of a shard that is on the move: a trigger before every statement that writes to one of its tables, on the server
-- that has the shard and on the one that gets it. Lets the statement through when the shard's owner row names this server,
-- else raises SV004 with the epoch and the server that has it, or will at once. Arguments: the shard, and this server's name.
--
-- Shutting a shard and opening it are therefore changes of one row, and need no lock on any table: a writer that is let
-- through holds the gate open until its transaction ends, and whoever shuts it waits for that one lock only. Locks on the
-- tables themselves were tried: they met with writers of several tables, and with `nextval`, in deadlocks.
--
-- A transaction of a higher isolation level would see the owner row as it was when it began: for it the row is locked,
-- which fails with 40001 when the row has changed since.
-- Replication passes: its workers run as replicas, for which triggers of this kind do not fire. Everybody else does not,
-- superusers included. Runs as its owner, since a writer may have lost the right to look.
-- Lock: advisory (writers, shard), shared, to the end of the transaction.
create or replace function hypervault.gate()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _epoch text;
  _server text;
begin
  perform pg_advisory_xact_lock_shared(1213595655, tg_argv[0]::integer); -- writers
  execute format(
    'select owner.epoch, owner.server from %I.hv_owner as owner%s',
    tg_table_schema,
    case when current_setting('transaction_isolation') in ('repeatable read', 'serializable') then ' for share' end
  )
  into _epoch, _server;
  if _server = tg_argv[1] then
    return null;
  end if;
  raise exception using
    errcode = 'SV004',
    message = format('%I lives on %s since epoch %s of the shard map', tg_table_schema, coalesce(_server, tg_argv[1]), _epoch),
    detail = json_build_object('epoch', _epoch, 'server', coalesce(_server, tg_argv[1]))::text,
    hint = 'Read the newest shard map and go there; the Datastore does so by itself over a live map.';
end
$$;
