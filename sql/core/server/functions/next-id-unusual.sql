-- What next_id does with a position that is not plainly good: catches up when it is behind the clock, waits when
-- overflow has borrowed more than 4 s, refuses when it can't be used. Returns the position to use.
-- A clock stepped back by up to 4 s is counted through without waiting; by more than 5 s is SV001, which may be tried
-- again: it passes when the clock has caught up.
-- Takes the lock of next_id_behind when it is behind.
create or replace function hypervault.next_id_unusual(sequence regclass, shard integer, "position" bigint)
returns bigint
language plpgsql
as $$
declare
  _position bigint := next_id_unusual.position;
  _lead bigint;
begin
  if next_id_unusual.shard is null or next_id_unusual.shard not between 0 and 8191 then
    raise exception using
      errcode = 'SV003',
      message = format('shard %s is outside 0 to 8191', coalesce(next_id_unusual.shard::text, 'null'));
  end if;
  if (_position >> 10) - hypervault.clock_ms() < -12 then
    _position := hypervault.next_id_behind(next_id_unusual.sequence, next_id_unusual.shard);
  end if;
  -- The last ms is kept back: a chunk of next_ids runs on for up to 510 positions unchecked.
  if _position >= 1125899906841600 then
    raise exception using
      errcode = 'SV002',
      message = format('%s has used up the 40 bits of time since the epoch', next_id_unusual.sequence),
      hint = 'New ids need a new installation with a later epoch.';
  end if;
  _lead := (_position >> 10) - hypervault.clock_ms();
  if _lead > 5000 then
    raise exception using
      errcode = 'SV001',
      message = format('the clock of this server is %s ms behind the ids of %s', _lead, next_id_unusual.sequence),
      detail = json_build_object('behindMs', _lead::text)::text,
      hint = 'The clock was set back, or the shard came from a server whose clock was ahead: set the clock right, or wait.';
  end if;
  if _lead > 4000 then
    perform pg_catalog.pg_sleep((_lead - 4000) / 1000.0);
  end if;
  return _position;
end
$$;
