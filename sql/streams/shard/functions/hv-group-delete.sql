-- Deletes a group with all it holds; its consumers learn it with their next beat. Returns whether it was there.
-- Locks the group's row first, as every function of the group does.
create or replace function :"schema".hv_group_delete(name text, source text)
returns boolean
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _id bigint;
begin
  delete from hv_groups g
  where g.name = hv_group_delete.name
    and g.source = hv_group_delete.source
  returning g.id into _id;

  delete from hv_slices l where l.group_id = _id;
  delete from hv_consumers c where c.group_id = _id;
  delete from hv_retries r where r.group_id = _id;
  delete from hv_parked p where p.group_id = _id;
  return _id is not null;
end
$$;
