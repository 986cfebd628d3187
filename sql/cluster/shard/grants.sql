-- The least rights an app role needs in a shard, for unique lookups.
-- May be run again without harm.
grant select, insert, update, delete on :"schema".hv_lookup to :"role";

-- For atomic writes over several shards.
grant select, insert, delete on :"schema".hv_decision to :"role";
