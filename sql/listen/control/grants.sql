-- The rights a role needs to lead by leases and to send and read large payloads. May be run again without harm.
-- LISTEN and NOTIFY themselves need none but CONNECT.
grant usage on schema hypervault to :"role";

grant select, insert, update, delete on
  hypervault.leases,
  hypervault.spilled_payloads
to :"role";

grant select on hypervault.ledger to :"role";

grant execute on function
  hypervault.lease_acquire(text, text, integer),
  hypervault.lease_fence(text, bigint),
  hypervault.lease_resign(text, text, bigint),
  hypervault.notify_spilled(text, text)
to :"role";
