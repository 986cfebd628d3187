-- The next id of a shard. The shard's sequence holds positions: ms since the epoch << 10 | n.
--
-- Promises: no id twice, whatever the clock does and however long a session stalls anywhere in here, since each id is
-- one value of the sequence with the shard put in between, and the sequence only grows (next_id_behind proves that).
-- More than 1024 ids in one ms borrow from the next ones; a clock stepped back freezes the time, not the counting.
-- Raises SV001 (clock too far behind), SV002 (time used up), SV003 (no such shard).
-- Takes no lock here. Drawing comes before the look at the clock: a stall between them only makes the value look old.
create or replace function hypervault.next_id(sequence regclass, shard integer)
returns bigint
language plpgsql
as $$
declare
  _position bigint := pg_catalog.nextval(next_id.sequence);
begin
  -- 12 ms behind the clock to 4 s ahead, below the last ms that fits, a shard of 13 bits: nearly always so. As one
  -- distance from the middle, since "between" would read the clock twice, and a variable costs a tenth.
  if abs((_position >> 10) - hypervault.clock_ms() - 1994) > 2006
    or _position >= 1125899906841600
    or next_id.shard >> 13 <> 0
  then
    _position := hypervault.next_id_unusual(next_id.sequence, next_id.shard, _position);
  end if;
  return (_position & -1024) << 13 | (next_id.shard << 10)::bigint | (_position & 1023);
end
$$;
