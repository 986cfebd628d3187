-- Puts the fence before one table ahead of time, disabled: a pause then has only to enable it.
-- Locks, to the end of the transaction, which should be this call: SHARE UPDATE EXCLUSIVE on the table, waiting for VACUUM
-- up to vacuum_ms while everybody else goes on, then SHARE ROW EXCLUSIVE, waiting for writers up to lock_ms.
create or replace function hypervault.move_arm(
  schema text,
  "table" text,
  server text,
  vacuum_ms integer,
  lock_ms integer
)
returns void
language plpgsql
as $$
begin
  perform set_config('lock_timeout', move_arm.vacuum_ms::text, true);
  execute format('lock table %I.%I in share update exclusive mode', move_arm.schema, move_arm.table);
  perform set_config('lock_timeout', move_arm.lock_ms::text, true);
  execute format(
    'create or replace trigger hv_fence before insert or update or delete or truncate on %I.%I
     for each statement execute function hypervault.refuse_moved(0, %L)',
    move_arm.schema,
    move_arm.table,
    move_arm.server
  );
  execute format('alter table %I.%I disable trigger hv_fence', move_arm.schema, move_arm.table);
end
$$;
