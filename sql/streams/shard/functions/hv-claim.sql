-- Takes events that are due for another try: for an ordered group those of the given slices; for roundRobin (slices
-- null) whatever is due. An event whose consumer died counts one try more.
-- In an ordered group an event that was tried before is taken when it is the first of its stream, and alone: what
-- follows waits until it is done with. Those that only stood behind it are then taken together, up to the next such one.
--
-- Its work grows with the number of rows and no faster, whatever the planner believes of a table that is empty in one
-- moment and has thousands of rows in the next: every step reads them once, and plans are made anew for each call.
--
-- What another consumer has in hand is left to it while its lease lasts, also when its slice has been given on. Slices
-- that are no longer this consumer's are left out: it may have been paused for longer than its lease.
--
-- Locks the slices in order of their number (shared: their owner stays), then the rows that are taken, skipping what
-- another session holds.
create or replace function :"schema".hv_claim(
  group_id bigint,
  consumer uuid,
  slices integer[],
  lease_ms integer,
  max_events integer
)
returns table (pos bigint, slice integer, event bigint, stream bigint, attempts integer)
language plpgsql
set search_path = :"schema", pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  _now timestamptz;
  _slices integer[];
  _taken bigint[];
begin
  if hv_claim.slices is not null then
    _slices := array(
      select l.slice
      from hv_slices l
      where l.group_id = hv_claim.group_id
        and l.slice = any (hv_claim.slices)
        and l.owner = hv_claim.consumer
      order by l.slice
      for share
    );
  end if;

  -- after the wait for the locks
  _now := clock_timestamp();
  -- locked first and updated then: as one statement the locking part may be run once for each row
  _taken := array(
    with tried as materialized (
      select t.stream, min(t.position) as first
      from hv_retries t
      where t.group_id = hv_claim.group_id
        and hv_claim.slices is not null
        and (t.reason is not null or t.attempts > 0 or t.owner is not null)
      group by t.stream
    )
    select d.position
    from hv_retries d
    left join tried t on t.stream = d.stream
    where d.group_id = hv_claim.group_id
      and d.due_at <= _now
      and (_slices is null or d.slice = any (_slices))
      and (d.owner is null or d.owner <> hv_claim.consumer and d.expires_at < _now)
      and (
        d.slice is null
        or t.first is null
        or d.position < t.first
        or d.position = t.first and not exists (
          select
          from hv_retries b
          where b.group_id = d.group_id
            and b.stream = d.stream
            and b.position < d.position
        )
      )
    order by d.position
    limit max_events
    for update of d skip locked
  );
  return query
  update hv_retries r
  set
    owner = hv_claim.consumer,
    expires_at = _now + lease_ms * interval '1 ms',
    attempts = r.attempts + case when r.owner is null then 0 else 1 end
  where r.group_id = hv_claim.group_id
    and r.position = any (_taken)
  returning r.position, r.slice, r.event, r.stream, r.attempts;
end
$$;
