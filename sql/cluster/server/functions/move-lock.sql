-- Stops all writing to a shard: waits for transactions that have written and keeps new ones waiting, readers go on.
-- Lock: SHARE ROW EXCLUSIVE on all tables in one statement, then on the sequences (a statement that changes nothing: LOCK
-- knows only tables), so that no id is given out any more; to the end of the transaction. The caller sets lock_timeout.
create or replace function hypervault.move_lock(schema text)
returns void
language plpgsql
as $$
declare
  _tables text := (
    select string_agg(format('%I.%I', move_lock.schema, tables.name), ', ' order by tables.name)
    from hypervault.move_tables(move_lock.schema) as tables
    where tables.name <> 'hv_move'
  );
  _sequence record;
begin
  if _tables is not null then
    execute format('lock table %s in share row exclusive mode', _tables);
  end if;
  for _sequence in
    select sequences.*
    from hypervault.move_sequences(move_lock.schema) as sequences
  loop
    execute format('alter sequence %I.%I maxvalue %s', move_lock.schema, _sequence.name, _sequence.highest);
  end loop;
end
$$;
