-- Reads a page of one stream: from an event number on, forwards or backwards, without what retention hides.
-- start null: from the end, backwards.
--
-- Each row carries the stream's version and whether it is deleted; when the page is empty one row comes without an
-- event. No row at all: the stream was never made. Locks nothing.
create or replace function :"schema".hv_read_stream(
  stream text,
  start bigint,
  max_events integer,
  backward boolean
)
returns table (
  number bigint,
  id bigint,
  uuid uuid,
  type text,
  body json,
  bytes bytea,
  metadata json,
  version bigint,
  deleted text,
  first bigint
)
language plpgsql
stable
-- Plans over the indexes whatever the statistics say: tables grow from empty to millions between two analyses.
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  _id bigint;
  _version bigint;
  _deleted text;
  _first bigint;
  _oldest bigint;
begin
  select
    s.id,
    s.version,
    s.deleted,
    greatest(s.truncate_before, s.version + 1 - s.max_count),
    case when s.max_age_ms is null then 0 else (hypervault.clock_ms() - s.max_age_ms) << 23 end
  into _id, _version, _deleted, _first, _oldest
  from hv_streams s
  where s.name = hv_read_stream.stream;
  if not found then
    return;
  end if;

  if backward then
    return query
    select e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, _version, _deleted, _first
    from hv_events e
    where e.stream = _id
      and e.number <= least(start, _version)
      and e.number >= _first
      and e.id >= _oldest
    order by e.stream desc, e.number desc
    limit max_events;
  else
    return query
    select e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, _version, _deleted, _first
    from hv_events e
    where e.stream = _id
      and e.number >= greatest(start, _first)
      and e.number <= _version
      and e.id >= _oldest
    order by e.stream, e.number
    limit max_events;
  end if;

  if not found then
    return query
    select null::bigint, null::bigint, null::uuid, null::text, null::json, null::bytea, null::json, _version, _deleted,
      _first;
  end if;
end
$$;
