-- Appends one event to a stream, whatever its version: hv_append_each for a caller that is alone, in the fewest steps.
-- Nobody has written this event id yet. Returns the event's number; null when the stream was deleted for good.
--
-- Locks: as hv_append.
create or replace function :"schema".hv_append_event(
  stream text,
  uuid uuid,
  type text,
  body text,
  bytes bytea,
  metadata text
)
returns bigint
language plpgsql
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  _id bigint;
  _category bigint;
  _number bigint;
begin
  update hv_streams s
  set version = s.version + 1, deleted = null
  where s.name = hv_append_event.stream
    and s.deleted is distinct from 'hard'
  returning s.id, s.category, s.version
  into _id, _category, _number;

  if _id is null then
    -- a new stream, or one that was deleted for good
    select o.first
    into _number
    from hv_append_one(
      hv_append_event.stream, -2, false, array[hv_append_event.uuid], array[hv_append_event.type],
      array[hv_append_event.body], array[hv_append_event.bytes], array[hv_append_event.metadata]
    ) o;
    return _number;
  end if;

  insert into hv_events (stream, category, number, uuid, type, body, bytes, metadata)
  values (
    _id,
    _category,
    _number,
    hv_append_event.uuid,
    hv_append_event.type,
    hv_append_event.body::json,
    case when hv_append_event.body is null then hv_append_event.bytes end,
    hv_append_event.metadata::json
  );
  return _number;
end
$$;
