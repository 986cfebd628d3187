-- Appends one event to each of many streams, whatever their versions: hv_append for what is asked most often, in fewer
-- steps. Nobody has written these event ids yet. Each stream stands there once; columns as in hv_append.
-- Returns the event's number for each stream, in order; null where the stream was deleted for good.
--
-- Locks: as hv_append.
create or replace function :"schema".hv_append_each(
  streams text[],
  uuids uuid[],
  types text[],
  bodies text[],
  bytes bytea[],
  metadatas text[]
)
returns bigint[]
language plpgsql
-- Settings and "= any (array[x])" as in hv_append, for the same reasons.
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  _numbers bigint[];
begin
  if (select count(*) from hv_streams s where s.name = any (hv_append_each.streams)) < cardinality(hv_append_each.streams) then
    insert into hv_streams (name, category)
    select a.name, hv_category(a.name)
    from unnest(hv_append_each.streams) a (name)
    where not exists (select from hv_streams s where s.name = a.name)
    order by a.name collate "C"
    on conflict (name) do nothing;
  end if;

  with grown as (
    update hv_streams s
    set
      version = case when s.deleted = 'hard' then s.version else s.version + 1 end,
      deleted = case when s.deleted = 'hard' then s.deleted end
    from (
      select c.*
      from unnest(
        hv_append_each.streams, hv_append_each.uuids, hv_append_each.types,
        hv_append_each.bodies, hv_append_each.bytes, hv_append_each.metadatas
      ) with ordinality c (name, uuid, type, body, bytes, metadata, place)
      order by c.name collate "C"
    ) a
    where s.name = any (array[a.name])
    returning
      a.*,
      s.id,
      s.category,
      case when s.deleted is null then s.version end as number
  ), written as (
    insert into hv_events (stream, category, number, uuid, type, body, bytes, metadata)
    select
      g.id,
      g.category,
      g.number,
      g.uuid,
      g.type,
      g.body::json,
      case when g.body is null then g.bytes end,
      g.metadata::json
    from grown g
    where g.number is not null
  )
  select array_agg(g.number order by g.place)
  into _numbers
  from grown g;

  return _numbers;
end
$$;
