-- Holds shards for a source: no move of them begins from now on. Raises SV023 when one is on the move now, or its way back
-- is kept: what we make in it would not come along. Run it in a transaction that is read committed.
-- Runs as its owner: an importer may not look into the journal of moves.
-- Lock: advisory (placing, 0) to the end of the transaction, as hypervault.move_begin takes it.
create or replace function :"schema".import_hold_shards(_source bigint, _shards integer[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _move record;
begin
  perform pg_advisory_xact_lock(1213595657, 0); -- placing
  if to_regclass('hypervault.moves') is not null then
    select m.id, m.shard, m.source, m.target, m.state
      into _move
      from hypervault.moves m
     where m.state in ('moving', 'moved', 'reverting')
       and m.shard = any(_shards)
     order by m.id
     limit 1;
    if found then
      raise exception 'shard % is on its way from % to %', _move.shard, _move.source, _move.target
        using errcode = 'SV023',
              detail = row_to_json(_move);
    end if;
  end if;
  update hypervault.import_source s
     set held_shards = _shards
   where s.source_id = _source
     and s.held_shards is distinct from _shards;
end;
$$;
