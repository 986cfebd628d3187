-- Reads events by their ids, in no particular order; ids of events that are gone are missing. Locks nothing.
create or replace function :"schema".hv_read_events(ids bigint[])
returns table (
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
language sql
stable
set search_path = :"schema", pg_temp
as $$
  select s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata, s.id
  from hv_events e
  join hv_streams s on s.id = e.stream
  where e.id = any (ids)
$$;
