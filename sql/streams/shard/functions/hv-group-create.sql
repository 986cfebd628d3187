-- Makes a group. start: nothing up to this position is delivered; null: nothing up to the present end.
-- Returns created, or exists. Of two calls at once the second waits for the first, at the unique key.
create or replace function :"schema".hv_group_create(
  name text,
  source text,
  strategy text,
  slices integer,
  max_subscribers integer,
  start bigint,
  settings jsonb
)
returns text
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _id bigint;
  _start bigint := start;
begin
  if _start is null and (source = '$all' or right(source, 2) = '-*') then
    select q.head into _start from hv_sequencer q;
  elsif _start is null then
    _start := coalesce((select s.version from hv_streams s where s.name = hv_group_create.source), -1);
  end if;

  insert into hv_groups (name, source, strategy, slices, max_subscribers, settings, cut)
  values (
    hv_group_create.name,
    hv_group_create.source,
    hv_group_create.strategy,
    hv_group_create.slices,
    hv_group_create.max_subscribers,
    hv_group_create.settings,
    _start
  )
  on conflict on constraint hv_groups_name_source_key do nothing
  returning id into _id;
  if _id is null then
    return 'exists';
  end if;

  if hv_group_create.strategy = 'ordered' then
    insert into hv_slices (group_id, slice, position)
    select _id, n, _start
    from generate_series(0, hv_group_create.slices - 1) n;
  end if;
  return 'created';
end
$$;
