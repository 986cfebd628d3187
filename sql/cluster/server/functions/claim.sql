-- Makes this server the owner of a shard it holds, from an epoch of the map on. Refuses to go back: an owner of a higher
-- epoch stays. Returns whether the row says now what was asked. Locks the owner row until the end of the transaction.
create or replace function hypervault.claim(schema text, server text, epoch bigint)
returns boolean
language plpgsql
as $$
declare
  _claimed boolean;
begin
  execute format(
    'update %I.hv_owner set server = $1, epoch = $2, since = clock_timestamp()
     where epoch < $2 or (epoch = $2 and (server is null or server = $1))
     returning true',
    claim.schema
  )
  into _claimed
  using claim.server, claim.epoch;
  return coalesce(_claimed, false);
end
$$;
