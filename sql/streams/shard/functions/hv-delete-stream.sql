-- Deletes a stream: soft, so that an append revives it with numbers going on, or hard, for good.
-- Its events are hidden at once and removed by hv_scavenge.
--
-- Returns deleted, no_stream, wrong_version (with actual), or gone when it was deleted for good before.
-- Locks the stream's row until commit.
create or replace function :"schema".hv_delete_stream(stream text, expected bigint, hard boolean)
returns table (outcome text, actual bigint)
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _s hv_streams;
begin
  select s.*
  into _s
  from hv_streams s
  where s.name = hv_delete_stream.stream
  for update;

  if _s.id is null or _s.version < 0 or (_s.deleted = 'soft' and not hard) then
    return query values ('no_stream', coalesce(_s.version, -1));
  elsif _s.deleted = 'hard' then
    return query values ('gone', _s.version);
  elsif expected >= -1 and expected <> _s.version then
    return query values ('wrong_version', _s.version);
  else
    update hv_streams s
    set deleted = case when hard then 'hard' else 'soft' end, truncate_before = s.version + 1
    where s.id = _s.id;
    return query values ('deleted', _s.version);
  end if;
end
$$;
