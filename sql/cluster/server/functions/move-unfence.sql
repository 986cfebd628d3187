-- Makes a shard writable: the fence stands there disabled, since to drop it would wait for readers too; with `remove` it
-- is dropped, when the move is over.
-- Lock: SHARE ROW EXCLUSIVE, with `remove` ACCESS EXCLUSIVE, on the tables that have one, to the end of the transaction.
create or replace function hypervault.move_unfence(schema text, remove boolean)
returns void
language plpgsql
as $$
declare
  _table text;
begin
  for _table in
    select class.relname
    from pg_catalog.pg_trigger as trigger
    join pg_catalog.pg_class as class on class.oid = trigger.tgrelid
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where trigger.tgname = 'hv_fence'
      and namespace.nspname = move_unfence.schema
    order by class.relname
  loop
    if move_unfence.remove then
      execute format('drop trigger hv_fence on %I.%I', move_unfence.schema, _table);
    else
      execute format('alter table %I.%I disable trigger hv_fence', move_unfence.schema, _table);
    end if;
  end loop;
end
$$;
