-- Removes parked events for good, lowest position first: those given, or at most so many of all (null: no bound).
-- Returns how many.
create or replace function :"schema".hv_discard_parked(group_id bigint, positions bigint[], max_events bigint)
returns bigint
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _count bigint;
begin
  delete from hv_parked p
  where p.group_id = hv_discard_parked.group_id
    and p.position in (
      select q.position
      from hv_parked q
      where q.group_id = hv_discard_parked.group_id
        and (hv_discard_parked.positions is null or q.position = any (hv_discard_parked.positions))
      order by q.position
      limit max_events
    );
  get diagnostics _count = row_count;
  return _count;
end
$$;
