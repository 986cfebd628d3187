-- Brings an idle or lagging sequence up to the clock and returns a position, in one turn, never looping.
--
-- Lock: advisory (nextId, shard), exclusive, held from the look at the sequence to the store. It belongs to a
-- subtransaction that is always rolled back (a sequence does not roll back), so that whatever ends this, a cancel, a
-- time-out, an error, gives it back, and a caller's long transaction does not keep it.
--
-- Why the sequence never goes back, however long this stalls between look and store: it is set to the clock only when
-- it was 16 ms or more behind it. A session that draws meanwhile gets a position more than 8 ms behind, which next_id
-- refuses, and then waits here for the lock; next_ids draws unchecked ones only under the shared lock. So at most one
-- draw per session falls between look and store, where 16 · 1024 would be needed to pass the stored value, and 8 · 1024
-- for the first one to be accepted. With one bound for both, sessions at the edge go on drawing beside a stalled store.
-- Between 8 and 16 ms a drawn position is good as it is.
--
-- SECURITY DEFINER, so that an app role can't set the sequence elsewhere; it therefore takes no sequence but the
-- shard's own. The search_path costs nothing here: this runs once in 8 ms at most.
create or replace function hypervault.next_id_behind(sequence regclass, shard integer)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _now bigint;
  _last bigint;
  _position bigint;
begin
  if not exists (
    select
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    cross join hypervault.settings as settings
    where class.oid = next_id_behind.sequence
      and class.relkind = 'S'
      and class.relname = 'table_id_seq'
      and namespace.nspname = settings.prefix || lpad(next_id_behind.shard::text, 4, '0')
  ) then
    raise exception using
      errcode = 'SV003',
      message = format('%s is not the sequence of shard %s', next_id_behind.sequence, next_id_behind.shard);
  end if;
  begin
    perform pg_catalog.pg_advisory_xact_lock(1213595650, next_id_behind.shard); -- nextId
    _now := hypervault.clock_ms();
    _last := pg_catalog.pg_sequence_last_value(next_id_behind.sequence);
    if _now >= 1099511627775 then
      _position := 1125899906842623; -- next_id_unusual raises SV002
    elsif (_last is null or _last >> 10 <= _now - 16) and _now > 0 then
      _position := pg_catalog.setval(next_id_behind.sequence, _now << 10);
    else
      _position := pg_catalog.nextval(next_id_behind.sequence);
    end if;
    raise exception using errcode = 'SV000';
  exception
    when sqlstate 'SV000' then
      return _position;
  end;
end
$$;
