-- Brings an idle or lagging sequence up to the clock and returns a position, in one turn, never looping.
--
-- Lock: advisory (nextId, shard), exclusive, held from the look at the sequence to the store. It belongs to a
-- subtransaction that is always rolled back (a sequence does not roll back), so that whatever ends this, a cancel, a
-- time-out, an error, gives it back, and a caller's long transaction does not keep it.
--
-- Why the sequence never goes back, however long this stalls between look and store (unless the clock steps back in that
-- very instant, for which a sequence has no compare-and-set; see docs/ids.md): next_id accepts what is at most
-- 12 ms behind the clock, and this sets the sequence only when it is behind that by more positions than sessions can draw
-- meanwhile. For each draws one, has it refused, and waits here for the lock; next_ids draws unchecked ones only under
-- the shared lock. Twice max_connections leaves room for those that are cancelled and come again. With one bound for
-- both, sessions at the edge are accepted beside a stalled store and draw past what it stores: seen in 5 of 150 races.
-- A position between the bounds is good as it is: what is given out is never more than 16 ms behind, with up to 1,500
-- connections.
--
-- SECURITY DEFINER, so that an app role can't set the sequence elsewhere; it therefore takes no sequence but the
-- shard's own. The search_path costs nothing here: this runs a hundred times a second at most, but for the short while
-- between the bounds.
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
    elsif _now > 0
      and coalesce(_last, 0) < ((_now - 12) << 10) - 2 * current_setting('max_connections')::bigint
    then
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
