-- Keeps VACUUM away from a shard's tables: waits for one that runs (an autovacuum gives way after deadlock_timeout) and
-- lets no new one begin, so that move_lock need not wait for it with writers waiting behind.
-- Lock: SHARE UPDATE EXCLUSIVE on all tables, to the end of the transaction; readers and writers go on.
create or replace function hypervault.move_quiet(schema text)
returns void
language plpgsql
as $$
declare
  _tables text := (
    select string_agg(format('%I.%I', move_quiet.schema, tables.name), ', ' order by tables.name)
    from hypervault.move_tables(move_quiet.schema) as tables
    where tables.name <> 'hv_move'
  );
begin
  if _tables is not null then
    execute format('lock table %s in share update exclusive mode', _tables);
  end if;
end
$$;
