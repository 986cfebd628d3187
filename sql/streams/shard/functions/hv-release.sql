-- Gives slices back, for others to take at once; with leave, everything the consumer holds, and its place.
-- Locks the group's row, then its own slices in order of their number, until commit.
create or replace function :"schema".hv_release(group_id bigint, consumer uuid, slices integer[], leave boolean)
returns void
language plpgsql
set search_path = :"schema", pg_temp
as $$
begin
  perform
  from hv_groups g
  where g.id = hv_release.group_id
  for update;

  if leave then
    with gone as (
      delete from hv_consumers c
      where c.group_id = hv_release.group_id
        and c.consumer = hv_release.consumer
      returning c.settled
    )
    update hv_groups g
    set settled = g.settled + gone.settled
    from gone
    where g.id = hv_release.group_id;

    update hv_retries r
    set owner = null, expires_at = null
    where r.group_id = hv_release.group_id
      and r.owner = hv_release.consumer;
  end if;

  -- only its own: others' may be held for long by the transactions of their handlers
  perform
  from hv_slices l
  where l.group_id = hv_release.group_id
    and l.owner = hv_release.consumer
  order by l.slice
  for update;

  update hv_slices l
  set owner = null, expires_at = null
  where l.group_id = hv_release.group_id
    and l.owner = hv_release.consumer
    and (leave or l.slice = any (hv_release.slices));
end
$$;
