-- Appends to many streams in one call, each append with an outcome of its own.
--
-- One row of streams/expected/checked/starts/sizes is one append, and each stream stands there once. One row of
-- uuids/types/bodies/bytes/metadatas is one event; at[] says (from 1) to which append it belongs; the events of an
-- append stand together, sizes[] of them from starts[] on. An event has a body or bytes; when it has both the body counts.
-- expected: a number = that must be the last one, -1 = the stream must not exist, -2 = anything, -4 = it must exist.
-- checked: look for the event ids first (ids given by the caller, or a call that is repeated).
--
-- Returns one row for each append, in order:
--   appended       first = number of its first event
--   repeated       its event ids are all there, in a row, where expected allows: nothing is written, first as it was then
--   conflict       some of its event ids are there, but not as this append would have written them; first = the lowest found
--   wrong_version  nothing is written
--   deleted        the stream was deleted for good
-- and actual = number of the stream's last event before the call, -1 when there was none.
--
-- Locks: rows of hv_streams in order of their names, until commit. Missing streams are all made before the first
-- row is locked, in the same order, so that two calls can't wait for each other.
create or replace function :"schema".hv_append(
  streams text[],
  expected bigint[],
  checked boolean[],
  starts integer[],
  sizes integer[],
  at integer[],
  uuids uuid[],
  types text[],
  bodies text[],
  bytes bytea[],
  metadatas text[]
)
returns table (outcome text, first bigint, actual bigint)
language plpgsql
-- Generic plans over the indexes from the first call on: plans made while the tables are small would stay wrong for long.
-- "= any (array[x])" where the order of the locks hangs on it: unlike "= x" it leaves the planner one way only, an index
-- lookup for each row of the call, in the order of the call.
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  -- nothing is asked that another append could change
  _unconditional boolean := -2 = all (hv_append.expected) and false = all (hv_append.checked);
  -- by the append's place in the call
  _ids bigint[];
  _categories bigint[];
  _versions bigint[];
  _outcomes text[];
  -- as long as the call from the start: an array that grows by assignment begins where the first one was put
  _firsts bigint[] := array_fill(null::bigint, array[cardinality(hv_append.streams)]);
  _place integer;
  _found bigint;
  _first bigint;
  _in_row boolean;
begin
  -- one look at all of them costs a third of a look at each
  if (select count(*) from hv_streams s where s.name = any (hv_append.streams)) < cardinality(hv_append.streams) then
    insert into hv_streams (name, category)
    select a.name, hv_category(a.name)
    from unnest(hv_append.streams, hv_append.expected) a (name, expected)
    where a.expected in (-1, -2)
      and not exists (select from hv_streams s where s.name = a.name)
    order by a.name collate "C"
    on conflict (name) do nothing;
  end if;

  if _unconditional then
    -- lock, look and set in one step; in a stream deleted for good nothing changes
    with grown as (
      update hv_streams s
      set
        version = case when s.deleted = 'hard' then s.version else s.version + a.size end,
        deleted = case when s.deleted = 'hard' then s.deleted end
      from (
        select c.name, c.size, c.place
        from unnest(hv_append.streams, hv_append.sizes) with ordinality c (name, size, place)
        order by c.name collate "C"
      ) a
      where s.name = any (array[a.name])
      returning
        a.place,
        s.id,
        s.category,
        case when s.deleted = 'hard' then s.version else s.version - a.size end as version,
        case when s.deleted = 'hard' then 'deleted' else 'appended' end as outcome
    )
    select
      array_agg(g.id order by g.place),
      array_agg(g.category order by g.place),
      array_agg(g.version order by g.place),
      array_agg(g.outcome order by g.place)
    into _ids, _categories, _versions, _outcomes
    from grown g;
  else
    select
      array_agg(s.id order by a.place),
      array_agg(s.category order by a.place),
      array_agg(coalesce(s.version, -1) order by a.place),
      array_agg(
        case
          when s.deleted = 'hard' then 'deleted'
          when a.expected = -2 then 'appended'
          when a.expected = s.version and (s.version >= 0 or s.deleted is null) then 'appended'
          when a.expected = -1 and s.deleted = 'soft' then 'appended'
          when a.expected = -4 and s.version >= 0 and s.deleted is null then 'appended'
          else 'wrong_version'
        end
        order by a.place
      )
    into _ids, _categories, _versions, _outcomes
    from (
      select c.name, c.expected, c.place
      from unnest(hv_append.streams, hv_append.expected) with ordinality c (name, expected, place)
      order by c.name collate "C"
    ) a
    left join lateral (
      select l.id, l.category, l.version, l.deleted
      from hv_streams l
      where l.name = a.name
      for update
    ) s on true;
  end if;

  if true = any (hv_append.checked) then
    -- "stream + 0": the index of the ids is the only way; by the stream's own it would be read from its first event on
    for _place, _found, _first, _in_row in
      select u.at, count(*), min(e.number), max(e.number - u.place) = min(e.number - u.place)
      from unnest(hv_append.at, hv_append.uuids) with ordinality u (at, uuid, place)
      join hv_events e on e.uuid = any (array[u.uuid]) and e.stream + 0 = _ids[u.at]
      where hv_append.checked[u.at]
      group by u.at
    loop
      if _outcomes[_place] <> 'deleted' then
        _outcomes[_place] := case
          when _found = sizes[_place] and _in_row and (expected[_place] < -1 or _first = expected[_place] + 1) then 'repeated'
          else 'conflict'
        end;
        _firsts[_place] := _first;
      end if;
    end loop;
  end if;

  if 'appended' = any (_outcomes) then
    -- in the order of the events, so that ids grow with numbers: next_id() is called for each row as it comes
    insert into hv_events (stream, category, number, uuid, type, body, bytes, metadata)
    select
      _ids[e.at],
      _categories[e.at],
      _versions[e.at] + 1 + e.place - hv_append.starts[e.at],
      e.uuid,
      e.type,
      e.body::json,
      case when e.body is null then e.bytes end,
      e.metadata::json
    from unnest(
      hv_append.at, hv_append.uuids, hv_append.types, hv_append.bodies, hv_append.bytes, hv_append.metadatas
    ) with ordinality e (at, uuid, type, body, bytes, metadata, place)
    where _outcomes[e.at] = 'appended'
    order by e.place;

    if not _unconditional then
      update hv_streams s
      set version = s.version + g.size, deleted = null
      from unnest(_ids, _outcomes, hv_append.sizes) g (id, outcome, size)
      where s.id = any (array[g.id])
        and g.outcome = 'appended';
    end if;
  end if;

  return query
  select o.outcome, case o.outcome when 'appended' then o.version + 1 else o.first end, o.version
  from unnest(_outcomes, _firsts, _versions) with ordinality o (outcome, first, version, place)
  order by o.place;
end
$$;
