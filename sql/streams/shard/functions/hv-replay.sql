-- Puts parked events back into work, lowest position first: those given, or at most so many of all.
-- They come again as first tries. Returns how many.
-- Locks the group's row (shared) until commit, so that nothing is put back into a group that is being deleted.
create or replace function :"schema".hv_replay(group_id bigint, positions bigint[], max_events bigint)
returns bigint
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _count bigint;
begin
  perform
  from hv_groups g
  where g.id = hv_replay.group_id
  for key share;

  with taken as (
    delete from hv_parked p
    where p.group_id = hv_replay.group_id
      and p.position in (
        select q.position
        from hv_parked q
        where q.group_id = hv_replay.group_id
          and (hv_replay.positions is null or q.position = any (hv_replay.positions))
        order by q.position
        limit max_events
        for update
      )
    returning p.*
  )
  insert into hv_retries (group_id, position, slice, stream, event, attempts, due_at)
  select
    t.group_id,
    t.position,
    case when g.strategy = 'ordered' then hv_slice_of(t.stream, g.slices) end,
    t.stream,
    t.event,
    0,
    clock_timestamp()
  from taken t
  join hv_groups g on g.id = t.group_id
  on conflict on constraint hv_retries_pkey do nothing;
  get diagnostics _count = row_count;
  return _count;
end
$$;
