-- Stores a payload that is too large for NOTIFY and sends its id, in the caller's transaction.
-- Takes away payloads older than a day, a few at a time, skipping what others are taking away.
create or replace function :"schema".notify_spilled(
  channel text,
  payload text
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _id bigint;
begin
  delete from hypervault.spilled_payloads
  where id in (
    select s.id
    from hypervault.spilled_payloads as s
    where s.created < clock_timestamp() - interval '1 day'
    order by s.created
    limit 20
    for update skip locked
  );
  insert into hypervault.spilled_payloads (channel, payload)
  values (notify_spilled.channel, notify_spilled.payload)
  returning id into _id;
  perform pg_notify(notify_spilled.channel, 'hypervault:spilled:' || _id);
  return _id;
end
$$;
