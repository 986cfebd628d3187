-- Takes a copy of a shard out of service that has come back from an old backup: its owner row names the true owner from
-- then on, and the fence refuses writers. Refuses a copy whose epoch is not lower. Returns whether it was retired.
-- Locks: the owner row, and SHARE ROW EXCLUSIVE on the tables, to the end of the transaction.
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
  perform hypervault.fence(retire.schema, retire.server, retire.epoch);
  return hypervault.claim(retire.schema, retire.server, retire.epoch);
end
$$;
