-- Removes events that retention or deletion has hidden, at most so many, streams after the given one in order of id.
--
-- Returns how many were removed and the stream where it stopped; null when it went through all. Positions in hv_all
-- of removed events become holes. An event that has no position yet is left for another time: a pass that is about to
-- give it one would leave a position without an event behind. Takes row locks on what it removes only: appends go on beside it.
create or replace function :"schema".hv_scavenge(after_stream bigint, max_events integer)
returns table (removed integer, stopped_at bigint)
language plpgsql
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  _s record;
  _total integer := 0;
  _gone integer;
begin
  for _s in
    select
      s.id,
      greatest(s.truncate_before, s.version + 1 - s.max_count) as first,
      (hypervault.clock_ms() - s.max_age_ms) << 23 as oldest
    from hv_streams s
    where s.id > after_stream
      and (s.truncate_before > 0 or s.max_count is not null or s.max_age_ms is not null)
    order by s.id
  loop
    with gone as (
      delete from hv_events e
      where e.id in (
        select o.id
        from hv_events o
        where o.stream = _s.id
          and (o.number < _s.first or o.id < _s.oldest)
          and exists (select from hv_all p where p.event = o.id)
        order by o.number
        limit max_events - _total
      )
      returning e.id
    ), unplaced as (
      delete from hv_all a
      using gone g
      where a.event = g.id
    )
    select count(*)
    into _gone
    from gone;
    _total := _total + _gone;
    if _total >= max_events then
      return query select _total, _s.id - 1;
      return;
    end if;
  end loop;
  return query select _total, null::bigint;
end
$$;
