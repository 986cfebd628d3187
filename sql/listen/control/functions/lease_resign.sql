-- Ends a term before its time and wakes those who wait for it. True when the term was still running.
-- One row lock on the lease.
create or replace function :"schema".lease_resign(
  name text,
  holder text,
  epoch bigint
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update hypervault.leases as l
  set expires = clock_timestamp()
  where l.name = lease_resign.name
    and l.holder = lease_resign.holder
    and l.epoch = lease_resign.epoch
    and l.expires > clock_timestamp();
  if not found then
    return false;
  end if;
  perform pg_notify('hypervault_lease', lease_resign.name);
  return true;
end
$$;
