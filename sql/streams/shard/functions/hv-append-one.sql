-- Appends to one stream: hv_append for a caller that is alone, in fewer steps. Same rules, same outcomes, same lock.
create or replace function :"schema".hv_append_one(
  stream text,
  expected bigint,
  checked boolean,
  uuids uuid[],
  types text[],
  bodies text[],
  bytes bytea[],
  metadatas text[]
)
returns table (outcome text, first bigint, actual bigint)
language plpgsql
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  _size integer := cardinality(uuids);
  _id bigint;
  _category bigint;
  _deleted text;
  _found bigint;
  _in_row boolean;
begin
  if not checked then
    -- lock, look and set in one step; what is refused here is looked at below
    update hv_streams s
    set version = s.version + _size, deleted = null
    where s.name = hv_append_one.stream
      and s.deleted is distinct from 'hard'
      and (
        expected = -2
        or (expected = s.version and (s.version >= 0 or s.deleted is null))
        or (expected = -1 and s.deleted = 'soft')
        or (expected = -4 and s.version >= 0 and s.deleted is null)
      )
    returning s.id, s.category, s.version - _size
    into _id, _category, actual;
  end if;

  while _id is null loop
    select s.id, s.category, s.version, s.deleted
    into _id, _category, actual, _deleted
    from hv_streams s
    where s.name = hv_append_one.stream
    for update;

    if _id is null then
      actual := -1;
      if expected not in (-1, -2) then
        outcome := 'wrong_version';
        return next;
        return;
      end if;
      insert into hv_streams as s (name, category, version)
      values (hv_append_one.stream, hv_category(hv_append_one.stream), _size - 1)
      on conflict (name) do nothing
      returning s.id, s.category
      into _id, _category;
      -- when another session has just made it: look again
      continue;
    end if;

    if checked and actual >= 0 and _deleted is distinct from 'hard' then
      select count(*), min(e.number), max(e.number - u.place) = min(e.number - u.place)
      into _found, first, _in_row
      from unnest(uuids) with ordinality u (uuid, place)
      -- as in hv_append
      join hv_events e on e.uuid = any (array[u.uuid]) and e.stream + 0 = _id;
      if _found > 0 then
        outcome := case
          when _found = _size and _in_row and (expected < -1 or first = expected + 1) then 'repeated'
          else 'conflict'
        end;
        return next;
        return;
      end if;
    end if;

    outcome := case
      when _deleted = 'hard' then 'deleted'
      when expected = -2 then 'appended'
      when expected = actual and (actual >= 0 or _deleted is null) then 'appended'
      when expected = -1 and _deleted = 'soft' then 'appended'
      when expected = -4 and actual >= 0 and _deleted is null then 'appended'
      else 'wrong_version'
    end;
    if outcome <> 'appended' then
      return next;
      return;
    end if;
    update hv_streams s
    set version = s.version + _size, deleted = null
    where s.id = _id;
  end loop;

  if _size = 1 then
    insert into hv_events (stream, category, number, uuid, type, body, bytes, metadata)
    values (
      _id,
      _category,
      actual + 1,
      uuids[1],
      types[1],
      bodies[1]::json,
      case when bodies[1] is null then hv_append_one.bytes[1] end,
      metadatas[1]::json
    );
  else
    insert into hv_events (stream, category, number, uuid, type, body, bytes, metadata)
    select
      _id,
      _category,
      actual + e.place,
      e.uuid,
      e.type,
      e.body::json,
      case when e.body is null then e.bytes end,
      e.metadata::json
    from unnest(uuids, types, bodies, hv_append_one.bytes, metadatas)
      with ordinality e (uuid, type, body, bytes, metadata, place)
    order by e.place;
  end if;

  outcome := 'appended';
  first := actual + 1;
  return next;
end
$$;
