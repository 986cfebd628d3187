-- Raises SV007 unless the term is the running one: for the leader's own transactions, before their writes.
-- Holds a share lock on the lease until the end of the transaction, so that nobody can begin a new term before it
-- has committed. The leader's renewals wait for it too: keep such transactions far shorter than a third of the lease.
create or replace function :"schema".lease_fence(
  name text,
  epoch bigint
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _found hypervault.leases;
begin
  select l.*
  into _found
  from hypervault.leases as l
  where l.name = lease_fence.name
  for share;
  if _found.epoch is distinct from lease_fence.epoch or _found.expires <= clock_timestamp() then
    raise exception using
      errcode = 'SV007',
      message = format('the lease %s is no longer held in term %s', lease_fence.name, lease_fence.epoch),
      detail = json_build_object('epoch', _found.epoch::text, 'holder', _found.holder)::text;
  end if;
end
$$;
