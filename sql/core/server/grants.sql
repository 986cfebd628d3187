-- The least rights an app role needs on a server; those on its shards are in ../shard/grants.sql.
-- May be run again without harm.
grant usage on schema hypervault to :"role";

grant select on hypervault.settings, hypervault.ledger to :"role";

grant execute on function
  hypervault.epoch_ms(),
  hypervault.clock_ms(),
  hypervault.next_id(regclass, integer),
  hypervault.next_id_unusual(regclass, integer, bigint),
  hypervault.next_id_behind(regclass, integer),
  hypervault.next_ids(regclass, integer, integer),
  hypervault.describe(),
  hypervault.shard_for(text)
to :"role";
