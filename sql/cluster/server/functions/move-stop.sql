-- Stops the sequences of a copy that is not the shard, or no longer, to superusers too: each is taken to its end, so that it
-- gives nothing out any more (2200H). One that begins anew at its end can't be stopped. Returns what the other copy must go on
-- behind: {"name":value}, null for a sequence that was never used. May be run again: a sequence that is stopped already goes
-- by what move_shut has kept. `rehearse`: stops nothing, as in move_shut; what it returns says nothing then.
--
-- ALTER SEQUENCE would stop it in one stroke, but waits for every transaction that has drawn from it, and those wait for
-- whoever shuts the shard. Here somebody who does not write, as one who reserves ids, may draw between the look at a
-- sequence and its stop; so some values that perhaps nobody has had are passed over (1,024; 32 in a sequence of less than a
-- million), and for the ids of the generator the clock is looked at after the stop.
-- Lock: advisory (nextId, shard), so that nobody who is at setting the sequence sets it back afterwards.
create or replace function hypervault.move_stop(schema text, shard integer, rehearse boolean)
returns jsonb
language plpgsql
as $$
declare
  _sequence record;
  _oid regclass;
  _used bigint;
  _margin bigint;
  _kept jsonb;
  _behind numeric;
  _behinds jsonb := '{}';
begin
  perform pg_advisory_xact_lock(1213595650, move_stop.shard); -- nextId
  if to_regclass(format('%I.hv_move', move_stop.schema)) is not null then
    execute format('select move.sequences from %I.hv_move as move where move.what = ''sequences''', move_stop.schema)
    into _kept;
  end if;
  for _sequence in
    select sequences.*
    from hypervault.shard_sequences(move_stop.schema) as sequences
  loop
    _oid := format('%I.%I', move_stop.schema, _sequence.name)::regclass;
    _margin := case when abs(_sequence.last) > 1000000 then 1024 else 32 end;
    -- looked at anew, right before the stop: the list of them was made a while ago
    _used := pg_sequence_last_value(_oid);
    if not _sequence.cycle and not move_stop.rehearse then
      perform setval(_oid, _sequence.last);
    end if;
    _behind := case
      when _sequence.cycle then _used
      when _used = _sequence.last then (_kept ->> _sequence.name)::numeric + 1024 * _sequence.increment
      else _used::numeric + _margin * _sequence.increment
    end;
    if _sequence.name = 'table_id_seq' then
      _behind := greatest(_behind, (hypervault.clock_ms() << 10)::numeric);
    end if;
    _behind := case
      when _sequence.increment > 0 then least(_behind, _sequence.last)
      else greatest(_behind, _sequence.last)
    end;
    _behinds := _behinds || jsonb_build_object(_sequence.name, _behind);
  end loop;
  return _behinds;
end
$$;
