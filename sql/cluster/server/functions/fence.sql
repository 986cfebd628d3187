-- Puts the fence (see refuse_moved) before every table of a shard that a move carries; one that is there is put anew, with
-- this epoch and server. Lock: SHARE ROW EXCLUSIVE on the tables, to the end of the transaction.
create or replace function hypervault.fence(schema text, server text, epoch bigint)
returns void
language plpgsql
as $$
declare
  _table text;
begin
  for _table in
    select tables.name
    from hypervault.move_tables(fence.schema) as tables
    where tables.name <> 'hv_move'
  loop
    execute format(
      'create or replace trigger hv_fence before insert or update or delete or truncate on %I.%I
       for each statement execute function hypervault.refuse_moved(%L, %L)',
      fence.schema,
      _table,
      fence.epoch,
      fence.server
    );
    execute format('alter table %I.%I enable trigger hv_fence', fence.schema, _table);
  end loop;
end
$$;
