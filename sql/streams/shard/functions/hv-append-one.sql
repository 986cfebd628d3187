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
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  _size integer := cardinality(uuids);
  _id bigint;
  _version bigint;
  _deleted text;
  _found bigint;
  _first bigint;
  _in_row boolean;
begin
  loop
    select s.id, s.version, s.deleted
    into _id, _version, _deleted
    from hv_streams s
    where s.name = hv_append_one.stream
    for update;
    exit when _id is not null;

    _version := -1;
    if expected not in (-1, -2) then
      return query values ('wrong_version', null::bigint, _version);
      return;
    end if;
    insert into hv_streams (name, version)
    values (hv_append_one.stream, _size - 1)
    on conflict (name) do nothing
    returning id into _id;
    exit when _id is not null;
    -- another session has just made it: look again
  end loop;

  if _deleted = 'hard' then
    return query values ('deleted', null::bigint, _version);
    return;
  end if;

  if checked and _version >= 0 then
    select count(*), min(e.number), max(e.number - u.place) = min(e.number - u.place)
    into _found, _first, _in_row
    from unnest(uuids) with ordinality u (uuid, place)
    join hv_events e on e.stream = _id and e.uuid = u.uuid;
    if _found > 0 then
      return query values (
        case
          when _found = _size and _in_row and (expected < -1 or _first = expected + 1) then 'repeated'
          else 'conflict'
        end,
        _first,
        _version
      );
      return;
    end if;
  end if;

  if _version >= 0 then
    if not (
      expected = -2
      or expected = _version
      or (expected = -1 and _deleted is not null)
      or (expected = -4 and _deleted is null)
    ) then
      return query values ('wrong_version', null::bigint, _version);
      return;
    end if;
    update hv_streams s
    set version = _version + _size, deleted = null
    where s.id = _id;
  end if;

  if _size = 1 then
    insert into hv_events (stream, number, uuid, type, body, bytes, metadata)
    values (
      _id, _version + 1, uuids[1], types[1], bodies[1]::json, hv_append_one.bytes[1], metadatas[1]::json
    );
  else
    insert into hv_events (stream, number, uuid, type, body, bytes, metadata)
    select _id, _version + e.place, e.uuid, e.type, e.body::json, e.bytes, e.metadata::json
    from unnest(uuids, types, bodies, hv_append_one.bytes, metadatas)
      with ordinality e (uuid, type, body, bytes, metadata, place)
    order by e.place;
  end if;

  return query values ('appended', _version + 1, _version);
end
$$;
