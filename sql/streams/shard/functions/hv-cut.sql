-- roundRobin: gives a consumer the next run of positions: first what a consumer left behind, else a new one,
-- at most so many positions long, cut off at the front of what nobody has had. No row: there is nothing.
--
-- Locks the group's row until commit, so runs never overlap.
create or replace function :"schema".hv_cut(group_id bigint, consumer uuid, lease_ms integer, max_length integer)
returns table (slice integer, pos bigint, done bigint[], upto bigint, term bigint, crashes integer)
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _now timestamptz;
  _group hv_groups;
  _upto bigint;
begin
  select g.*
  into _group
  from hv_groups g
  where g.id = hv_cut.group_id
  for update;
  if _group.id is null then
    return;
  end if;
  _now := clock_timestamp();

  return query
  update hv_slices l
  set
    crashes = case
      when l.owner is null then 0
      when l.position < l.taken_at + 1000 then l.crashes + 1
      else 1
    end,
    taken_at = l.position,
    owner = hv_cut.consumer,
    term = l.term + 1,
    expires_at = _now + lease_ms * interval '1 ms'
  where l.group_id = _group.id
    and l.slice = (
      select f.slice
      from hv_slices f
      where f.group_id = _group.id
        and (f.owner is null or (f.expires_at < _now and f.owner <> hv_cut.consumer))
        and f.position < f.upto
      order by f.position
      limit 1
      -- looked at again under the lock: a late owner may just have settled it; and nobody waits for one whose
      -- handler's transaction is open
      for update skip locked
    )
  returning l.slice, l.position, l.done, l.upto, l.term, l.crashes;
  if found then
    return;
  end if;

  if _group.source = '$all' then
    select least(q.head, _group.cut + max_length)
    into _upto
    from hv_sequencer q;
  elsif right(_group.source, 2) = '-*' then
    select max(n.pos)
    into _upto
    from (
      select a.pos
      from hv_all a
      where a.category = hashtextextended(left(_group.source, -2), 0)
        and a.pos > _group.cut
      order by a.pos
      limit max_length
    ) n;
  else
    select least(s.version, _group.cut + max_length)
    into _upto
    from hv_streams s
    where s.name = _group.source;
  end if;
  if _upto is null or _upto <= _group.cut then
    return;
  end if;

  -- the row of a run that is through serves again, with a term of its own
  return query
  update hv_slices l
  set
    position = _group.cut,
    done = '{}',
    upto = _upto,
    owner = hv_cut.consumer,
    term = l.term + 1,
    expires_at = _now + lease_ms * interval '1 ms',
    crashes = 0,
    taken_at = _group.cut
  where l.group_id = _group.id
    and l.slice = (
      select f.slice
      from hv_slices f
      where f.group_id = _group.id
        and f.owner is null
        and f.position >= f.upto
      order by f.slice
      limit 1
    )
  returning l.slice, l.position, l.done, l.upto, l.term, l.crashes;
  if found then
    update hv_groups g
    set cut = _upto
    where g.id = _group.id;
    return;
  end if;

  update hv_groups g
  set cut = _upto, next_slice = g.next_slice + 1
  where g.id = _group.id;

  return query
  insert into hv_slices as l (group_id, slice, position, upto, owner, term, expires_at, taken_at)
  values (
    _group.id,
    _group.next_slice,
    _group.cut,
    _upto,
    hv_cut.consumer,
    1,
    _now + lease_ms * interval '1 ms',
    _group.cut
  )
  returning l.slice, l.position, l.done, l.upto, l.term, l.crashes;
end
$$;
