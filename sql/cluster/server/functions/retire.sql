-- Takes a copy of a shard out of service that has come back from an old backup: its owner row names the true owner from
-- then on. The fence stands before its tables already (see fence), put there one by one. Refuses a copy whose epoch is not
-- lower. Returns whether it was retired. Lock: the owner row, to the end of the transaction.
create or replace function hypervault.retire(schema text, server text, epoch bigint)
returns boolean
language plpgsql
as $$
declare
  _found bigint;
begin
  execute format('select owner.epoch from %I.hv_owner as owner for update', retire.schema)
  into _found;
  if _found is null or _found >= retire.epoch then
    return false;
  end if;
  return hypervault.claim(retire.schema, retire.server, retire.epoch);
end
$$;
