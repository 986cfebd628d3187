-- Takes events that are due for another try: for an ordered group those of the given slices; for roundRobin (slices
-- null) whatever is due. An event whose consumer died counts one try more.
-- In an ordered group an event that was tried before is taken when it is the first of its stream, and alone: what
-- follows waits until it is done with. Those that only stood behind it are then taken together, up to the next such one.
--
-- Row locks on what is taken, skipping what another session holds.
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
as $$
declare
  _now timestamptz := clock_timestamp();
begin
  return query
  update hv_retries r
  set
    owner = hv_claim.consumer,
    expires_at = _now + lease_ms * interval '1 ms',
    attempts = r.attempts + case when r.owner is null then 0 else 1 end
  from (
    select d.position
    from hv_retries d
    where d.group_id = hv_claim.group_id
      and d.due_at <= _now
      and (hv_claim.slices is null or d.slice = any (hv_claim.slices))
      -- an ordered slice has one owner: what an earlier one held is free
      and (d.owner is null or d.owner <> hv_claim.consumer and (d.slice is not null or d.expires_at < _now))
      and (
        d.slice is null
        or not exists (
          select
          from hv_retries b
          where b.group_id = d.group_id
            and b.stream = d.stream
            and b.position < d.position
            and not (
              b.reason is null and b.attempts = 0 and b.owner is null
              and d.reason is null and d.attempts = 0 and d.owner is null
            )
        )
      )
    order by d.position
    limit max_events
    for update skip locked
  ) n
  where r.group_id = hv_claim.group_id
    and r.position = n.position
  returning r.position, r.slice, r.event, r.stream, r.attempts;
end
$$;
