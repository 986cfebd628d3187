-- Shuts a shard for good, in the transaction that holds move_lock: the fence, which move_arm has put there, sequences that
-- give nothing out any more, to superusers neither, and the owner row that names the new server. Commit is the point of no
-- return of a move.
-- The sequences keep their last value as their last bound; move_open gives the bounds back.
-- Raises SV004 when another owner has come meanwhile. Locks: those of move_lock, and the owner row.
create or replace function hypervault.move_shut(schema text, server text, epoch bigint)
returns void
language plpgsql
as $$
declare
  _table text;
  _sequence record;
  _last bigint;
begin
  for _table in
    select tables.name
    from hypervault.move_tables(move_shut.schema) as tables
    where tables.name <> 'hv_move'
  loop
    execute format('alter table %I.%I enable trigger hv_fence', move_shut.schema, _table);
  end loop;
  for _sequence in
    select sequences.*
    from hypervault.move_sequences(move_shut.schema) as sequences
  loop
    -- A bound needs another below it: one or two values that nobody has had are passed over.
    if _sequence.increment > 0 then
      _last := greatest(coalesce(_sequence.used, _sequence.lowest), _sequence.lowest + 1);
      perform setval(format('%I.%I', move_shut.schema, _sequence.name)::regclass, _last);
      execute format('alter sequence %I.%I maxvalue %s no cycle', move_shut.schema, _sequence.name, _last);
    else
      _last := least(coalesce(_sequence.used, _sequence.highest), _sequence.highest - 1);
      perform setval(format('%I.%I', move_shut.schema, _sequence.name)::regclass, _last);
      execute format('alter sequence %I.%I minvalue %s no cycle', move_shut.schema, _sequence.name, _last);
    end if;
  end loop;
  if not hypervault.claim(move_shut.schema, move_shut.server, move_shut.epoch) then
    raise exception using
      errcode = 'SV004',
      message = format('%I has an owner of a later epoch than %s', move_shut.schema, move_shut.epoch);
  end if;
end
$$;
