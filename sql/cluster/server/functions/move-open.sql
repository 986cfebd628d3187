-- Opens a shard on the server that owns it from now on: its sequences go on behind those of the copy that was shut, and its
-- owner row names this server, so its gate lets writers through from the commit on. A shard that is open already is left
-- alone: its sequences have gone on since.
-- `behind`: what move_stop has returned there. The ids of the generator go on a little later: 16 ms, the margin they keep from
-- the clock. `rehearse`: changes nothing, as in move_shut.
-- Lock: the owner row, to the end of the transaction.
create or replace function hypervault.move_open(schema text, server text, epoch bigint, behind jsonb, rehearse boolean)
returns void
language plpgsql
as $$
declare
  _sequence record;
  _oid regclass;
  _behind bigint;
  _owner text;
begin
  execute format('select owner.server from %I.hv_owner as owner for update', move_open.schema)
  into _owner;
  if _owner = move_open.server then
    return;
  end if;
  for _sequence in
    select sequences.*
    from hypervault.shard_sequences(move_open.schema) as sequences
  loop
    _oid := format('%I.%I', move_open.schema, _sequence.name)::regclass;
    _behind := (move_open.behind ->> _sequence.name)::bigint;
    continue when move_open.rehearse;
    if _behind is null then
      perform setval(_oid, _sequence.first, false);
    elsif _sequence.name = 'table_id_seq' then
      perform setval(_oid, _behind + (16 << 10));
    else
      perform setval(_oid, _behind);
    end if;
  end loop;
  if move_open.rehearse then
    perform hypervault.claim(move_open.schema, move_open.server, -1); -- older than any
    return;
  end if;
  if not hypervault.claim(move_open.schema, move_open.server, move_open.epoch) then
    raise exception using
      errcode = 'SV004',
      message = format('%I has an owner of a later epoch than %s', move_open.schema, move_open.epoch);
  end if;
end
$$;
