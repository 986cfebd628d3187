-- Whether an atomic write was decided, asked of the shard that coordinates it: true, it is done, or false, it never will be.
-- Waits up to wait_ms for a coordinator that has not ended its transaction; raises 55P03 when it still has not.
-- By a write and not by a look, for two reasons: a write waits for the row of an open transaction, and a copy of the shard
-- that is none any more refuses it (SV004) instead of answering from the past.
-- Run at read committed. Lock: the row, to the end of the transaction.
create or replace function hypervault.atomic_decided(schema text, id uuid, wait_ms integer)
returns boolean
language plpgsql
as $$
declare
  _missing integer;
begin
  perform set_config('lock_timeout', atomic_decided.wait_ms::text, true);
  execute format('insert into %I.hv_decision (id, shards) values ($1, ''{}'') on conflict do nothing', atomic_decided.schema)
  using atomic_decided.id;
  get diagnostics _missing = row_count;
  if _missing = 0 then
    return true;
  end if;
  execute format('delete from %I.hv_decision where id = $1', atomic_decided.schema)
  using atomic_decided.id;
  return false;
end
$$;
