-- Takes a lease, or renews it for the one who holds it. Answers who holds it now, and for how long.
-- One row lock on the lease; concurrent callers wait for each other.
-- A new term gets a larger epoch than any before. The timeline is its upper half, so that this holds also when a
-- failover to an asynchronous standby has lost the last terms: the new primary writes a newer timeline.
create or replace function :"schema".lease_acquire(
  name text,
  holder text,
  ttl_ms integer
) returns table (
  held boolean,
  epoch bigint,
  held_by text,
  expires_in_ms double precision
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  _now timestamptz := clock_timestamp();
  _first bigint := ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint << 32 | 1;
begin
  insert into hypervault.leases as l (name, holder, epoch, acquired, expires)
  values (lease_acquire.name, lease_acquire.holder, _first, _now, _now + lease_acquire.ttl_ms * interval '1 ms')
  on conflict (name) do update
    set holder = excluded.holder,
        epoch = case
          when l.holder = excluded.holder and l.expires > clock_timestamp() then l.epoch
          else greatest(l.epoch + 1, excluded.epoch)
        end,
        acquired = case
          when l.holder = excluded.holder and l.expires > clock_timestamp() then l.acquired
          else clock_timestamp()
        end,
        expires = clock_timestamp() + lease_acquire.ttl_ms * interval '1 ms'
    where l.holder = excluded.holder
      or l.expires <= clock_timestamp();
  return query
    select l.holder = lease_acquire.holder and l.expires > clock_timestamp(),
           l.epoch,
           l.holder,
           greatest(0, extract(epoch from l.expires - clock_timestamp()) * 1000)::double precision
    from hypervault.leases as l
    where l.name = lease_acquire.name;
end
$$;
