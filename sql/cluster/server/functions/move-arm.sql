-- Puts the gate (see gate) before one table; one that is there as it should be is left alone, without any lock. `server` is
-- this server's name.
-- Locks, to the end of the transaction: SHARE UPDATE EXCLUSIVE on the table, waiting for VACUUM up to vacuum_ms while
-- everybody else goes on, then SHARE ROW EXCLUSIVE, waiting for writers up to lock_ms. Where programs write, each table is a
-- transaction of its own, so that it can't meet a writer of several tables in a deadlock.
create or replace function hypervault.move_arm(
  schema text,
  "table" text,
  shard integer,
  server text,
  vacuum_ms integer,
  lock_ms integer
)
returns void
language plpgsql
as $$
declare
  _gate text := format('hypervault.gate(%L, %L)', move_arm.shard, move_arm.server);
begin
  if exists (
    select
    from pg_catalog.pg_trigger as trigger
    where trigger.tgrelid = format('%I.%I', move_arm.schema, move_arm.table)::regclass
      and trigger.tgname = 'hv_fence'
      and trigger.tgenabled = 'O'
      and right(pg_get_triggerdef(trigger.oid), length(_gate)) = _gate
  ) then
    return;
  end if;
  perform set_config('lock_timeout', move_arm.vacuum_ms::text, true);
  execute format('lock table %I.%I in share update exclusive mode', move_arm.schema, move_arm.table);
  perform set_config('lock_timeout', move_arm.lock_ms::text, true);
  execute format(
    'create or replace trigger hv_fence before insert or update or delete or truncate on %I.%I
     for each statement execute function %s',
    move_arm.schema,
    move_arm.table,
    _gate
  );
end
$$;
