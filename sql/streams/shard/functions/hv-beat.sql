-- A consumer's sign of life: joins the group or stays in it, renews what it owns, takes its share of the slices.
--
-- Shares are exact: each living consumer has a place in the order of joining, the first ones get one slice more.
-- A slice above the share is marked shed; its owner finishes what is in hand and gives it back with hv_release.
-- What expired but nobody took stays its owner's. Returns status ok, gone (no such group) or full (max_subscribers are there), then one row for each slice owned.
-- retry_in_ms: when the next event waiting for a retry is due; null when none waits.
--
-- A free slice that is locked is left for the next time: the transaction of its last owner's handler may be open, and
-- whoever waited for it here would keep every other consumer from giving signs of life.
--
-- Locks the group's row, then its own slices in order of their number, then those it takes, until commit.
create or replace function :"schema".hv_beat(group_id bigint, consumer uuid, label text, lease_ms integer)
returns table (
  status text,
  revision bigint,
  consumers integer,
  retry_in_ms bigint,
  slice integer,
  pos bigint,
  done bigint[],
  upto bigint,
  term bigint,
  crashes integer,
  shed boolean
)
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _now timestamptz;
  _group hv_groups;
  _living integer;
  _place integer;
  _share integer := 2147483647;
  _mine integer;
  _free integer[];
  _retry_in bigint;
begin
  select g.*
  into _group
  from hv_groups g
  where g.id = hv_beat.group_id
  for update;
  if _group.id is null then
    return query select 'gone', 0::bigint, 0, null::bigint, null::integer, null::bigint, null::bigint[], null::bigint,
      null::bigint, null::integer, null::boolean;
    return;
  end if;
  -- after the wait for the lock: an older clock would renew leases into the past
  _now := clock_timestamp();

  with dead as (
    delete from hv_consumers c
    where c.group_id = _group.id
      and c.expires_at < _now
      and c.consumer <> hv_beat.consumer
    returning c.settled
  )
  update hv_groups g
  set settled = g.settled + d.settled
  from (select sum(dead.settled) as settled from dead) d
  where g.id = _group.id
    and d.settled > 0;

  update hv_consumers c
  set expires_at = _now + lease_ms * interval '1 ms'
  where c.group_id = _group.id
    and c.consumer = hv_beat.consumer;
  if not found then
    if (select count(*) from hv_consumers c where c.group_id = _group.id) >= _group.max_subscribers then
      return query select 'full', _group.revision, _group.max_subscribers, null::bigint, null::integer, null::bigint,
        null::bigint[], null::bigint, null::bigint, null::integer, null::boolean;
      return;
    end if;
    insert into hv_consumers (group_id, consumer, label, expires_at)
    values (_group.id, hv_beat.consumer, hv_beat.label, _now + lease_ms * interval '1 ms');
  end if;

  select count(*), count(*) filter (where (c.joined_at, c.consumer) < (m.joined_at, m.consumer))
  into _living, _place
  from hv_consumers c
  join hv_consumers m on m.group_id = c.group_id and m.consumer = hv_beat.consumer
  where c.group_id = _group.id;

  perform
  from hv_slices l
  where l.group_id = _group.id
    and l.owner = hv_beat.consumer
  order by l.slice
  for update;

  update hv_slices l
  set expires_at = _now + lease_ms * interval '1 ms'
  where l.group_id = _group.id
    and l.owner = hv_beat.consumer;
  get diagnostics _mine = row_count;

  if _group.strategy = 'ordered' then
    _share := _group.slices / _living + case when _place < _group.slices % _living then 1 else 0 end;
    if _mine < _share then
      -- locked first and updated then, as in hv_claim
      _free := array(
        select f.slice
        from hv_slices f
        where f.group_id = _group.id
          and (f.owner is null or f.expires_at < _now)
        order by f.slice
        limit _share - _mine
        for update skip locked
      );
      update hv_slices l
      set
        crashes = case
          when l.owner is null then 0
          when l.position < l.taken_at + 1000 then l.crashes + 1
          else 1
        end,
        taken_at = l.position,
        owner = hv_beat.consumer,
        term = l.term + 1,
        expires_at = _now + lease_ms * interval '1 ms'
      where l.group_id = _group.id
        and l.slice = any (_free);
    end if;
  end if;

  update hv_retries r
  set expires_at = _now + lease_ms * interval '1 ms'
  where r.group_id = _group.id
    and r.owner = hv_beat.consumer;

  select ceil(date_part('epoch', greatest(min(r.due_at), _now) - _now) * 1000)
  into _retry_in
  from hv_retries r
  where r.group_id = _group.id
    and (r.owner is null or r.expires_at < _now);

  return query
  select
    'ok',
    _group.revision,
    _living,
    _retry_in,
    l.slice,
    l.position,
    l.done,
    l.upto,
    l.term,
    l.crashes,
    row_number() over (order by l.slice) > _share
  from (select 1) one
  left join hv_slices l
    on l.group_id = _group.id
    and l.owner = hv_beat.consumer
  order by l.slice;
end
$$;
