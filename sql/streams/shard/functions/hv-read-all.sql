-- Reads a page of all events of the shard, or of one category, in the order of their positions.
--
-- Forwards: positions above "after", up to "upto" (null: the head). Backwards: positions below "after" (null: the end).
-- slices of slice_count: only events whose stream falls into one of these slices (null: all).
-- A last row without an event says up to which position everything was read: the next page begins there.
-- Locks nothing.
create or replace function :"schema".hv_read_all(
  after bigint,
  upto bigint,
  max_events integer,
  category text,
  slice_count integer,
  slices integer[],
  backward boolean
)
returns table (
  pos bigint,
  stream text,
  number bigint,
  id bigint,
  uuid uuid,
  type text,
  body json,
  bytes bytea,
  metadata json,
  stream_id bigint
)
language plpgsql
stable
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set jit = off
as $$
declare
  _head bigint;
  _category bigint := hashtextextended(category, 0);
  _count bigint;
begin
  select q.head into strict _head from hv_sequencer q;
  if not backward then
    _head := least(_head, upto);
  end if;

  if category is null and not backward then
    return query
    select a.pos, s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, a.stream
    from hv_all a
    join hv_events e on e.id = a.event
    join hv_streams s on s.id = a.stream
    where a.pos > after
      and a.pos <= _head
      and (slices is null or hv_slice_of(a.stream, slice_count) = any (slices))
    order by a.pos
    limit max_events;
  elsif category is null then
    return query
    select a.pos, s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, a.stream
    from hv_all a
    join hv_events e on e.id = a.event
    join hv_streams s on s.id = a.stream
    where a.pos < coalesce(after, _head + 1)
      and (slices is null or hv_slice_of(a.stream, slice_count) = any (slices))
    order by a.pos desc
    limit max_events;
  elsif not backward then
    return query
    select a.pos, s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, a.stream
    from hv_all a
    join hv_events e on e.id = a.event
    join hv_streams s on s.id = a.stream
    where a.category = _category
      and a.pos > after
      and a.pos <= _head
      and split_part(s.name, '-', 1) = hv_read_all.category
      and (slices is null or hv_slice_of(a.stream, slice_count) = any (slices))
    order by a.category, a.pos
    limit max_events;
  else
    return query
    select a.pos, s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, a.stream
    from hv_all a
    join hv_events e on e.id = a.event
    join hv_streams s on s.id = a.stream
    where a.category = _category
      and a.pos < coalesce(after, _head + 1)
      and split_part(s.name, '-', 1) = hv_read_all.category
      and (slices is null or hv_slice_of(a.stream, slice_count) = any (slices))
    order by a.category desc, a.pos desc
    limit max_events;
  end if;
  get diagnostics _count = row_count;

  -- a full page has read up to its last row, any other one all there was
  if _count < max_events then
    return query
    select case when backward then 0 else greatest(after, _head) end, null::text, null::bigint, null::bigint, null::uuid,
      null::text, null::json, null::bytea, null::json, null::bigint;
  end if;
end
$$;
