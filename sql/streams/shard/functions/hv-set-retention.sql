-- Sets what of a stream is kept; null leaves as it is, -1 lifts the bound. The stream need not exist yet.
-- truncate_before only grows: what was hidden may be gone already.
-- A bound of 0, or below -1, is refused (invalid_parameter_value).
-- Returns set, or gone when the stream was deleted for good. Locks the stream's row until commit.
create or replace function :"schema".hv_set_retention(
  stream text,
  truncate_before bigint,
  max_count bigint,
  max_age_ms bigint
)
returns text
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _id bigint;
  _deleted text;
begin
  if least(hv_set_retention.max_count, hv_set_retention.max_age_ms) < -1
    or 0 in (hv_set_retention.max_count, hv_set_retention.max_age_ms)
  then
    raise exception 'max_count % and max_age_ms % must be above 0, -1 or null', max_count, max_age_ms
      using errcode = 'invalid_parameter_value';
  end if;

  insert into hv_streams (name, category)
  values (hv_set_retention.stream, hv_category(hv_set_retention.stream))
  on conflict (name) do nothing;

  select s.id, s.deleted
  into _id, _deleted
  from hv_streams s
  where s.name = hv_set_retention.stream
  for update;

  if _deleted = 'hard' then
    return 'gone';
  end if;

  update hv_streams s
  set
    truncate_before = greatest(s.truncate_before, least(coalesce(hv_set_retention.truncate_before, 0), s.version + 1)),
    max_count = nullif(coalesce(hv_set_retention.max_count, s.max_count), -1),
    max_age_ms = nullif(coalesce(hv_set_retention.max_age_ms, s.max_age_ms), -1)
  where s.id = _id;
  return 'set';
end
$$;
