-- Puts the fence before one table ahead of time, disabled: a pause then has only to enable it.
-- Lock: SHARE ROW EXCLUSIVE on the table, to the end of the transaction, which should be this call. The caller sets
-- lock_timeout.
create or replace function hypervault.move_arm(schema text, "table" text, server text)
returns void
language plpgsql
as $$
begin
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
