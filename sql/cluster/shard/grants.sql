-- The least rights an app role needs for unique lookups in a shard.
-- May be run again without harm.
grant select, insert, update, delete on :"schema".hv_lookup to :"role";
