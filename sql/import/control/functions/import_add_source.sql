-- Registers a source. Answers its id, or null when a source of that name is there already.
-- Raises SV021 when one of its target schemas belongs to another source. Locks import_source against other writers.
create or replace function :"schema".import_add_source(
  _name text,
  _kind text,
  _mappings jsonb,
  _target jsonb
)
returns bigint
language plpgsql
as $$
declare
  _id bigint;
  _taken record;
begin
  lock table hypervault.import_source in share row exclusive mode;
  if exists (select from hypervault.import_source s where s.name = _name) then
    return null;
  end if;
  select s.name, wanted.value as schema_name
    into _taken
    from hypervault.import_source s,
         jsonb_each_text(s.mappings) held,
         jsonb_each_text(_mappings) wanted
   where held.value = wanted.value
     and s.target = _target
   limit 1;
  if found then
    raise exception 'the target schema % belongs to the source %', _taken.schema_name, _taken.name
      using errcode = 'SV021',
            detail = json_build_object('schema', _taken.schema_name, 'source', _taken.name);
  end if;
  insert into hypervault.import_source (name, kind, mappings, target)
  values (_name, _kind, _mappings, _target)
  returning source_id into _id;
  return _id;
end;
$$;
