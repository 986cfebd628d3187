-- Opens a shard on the server that owns it from now on: its sequences go on behind those of the copy that was shut, its
-- owner row names this server, the fence goes. May be run again without harm.
-- `sequences`: [{"name":…,"lowest":…,"highest":…,"cycle":…,"increment":…,"used":…}], the bounds as they were before the shard
-- was shut, and the value it was shut at. The ids of the generator go on a little later: 16 ms, the margin they keep from
-- the clock.
-- Locks: SHARE ROW EXCLUSIVE on the sequences and the tables, the owner row; to the end of the transaction.
create or replace function hypervault.move_open(schema text, server text, epoch bigint, sequences jsonb)
returns void
language plpgsql
as $$
declare
  _sequence record;
  _oid regclass;
  _here bigint;
  _next bigint;
begin
  for _sequence in
    select given.*
    from jsonb_to_recordset(move_open.sequences)
      as given (name text, lowest bigint, highest bigint, cycle boolean, increment bigint, used bigint)
  loop
    _oid := format('%I.%I', move_open.schema, _sequence.name)::regclass;
    execute format(
      'alter sequence %s minvalue %s maxvalue %s %s',
      _oid,
      _sequence.lowest,
      _sequence.highest,
      case when _sequence.cycle then 'cycle' else 'no cycle' end
    );
    _here := pg_sequence_last_value(_oid);
    _next := case
      when _sequence.increment > 0 then greatest(_sequence.used, _here)
      else least(_sequence.used, _here)
    end;
    if _sequence.name = 'table_id_seq' then
      _next := _next + (16 << 10);
    end if;
    if _next is not null then
      perform setval(_oid, _next);
    end if;
  end loop;
  if not hypervault.claim(move_open.schema, move_open.server, move_open.epoch) then
    raise exception using
      errcode = 'SV004',
      message = format('%I has an owner of a later epoch than %s', move_open.schema, move_open.epoch);
  end if;
  perform hypervault.move_unfence(move_open.schema, false);
end
$$;
