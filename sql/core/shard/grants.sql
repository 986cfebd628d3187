-- The least rights an app role needs in a shard. Rights on the user's own tables are given by whoever makes them.
-- May be run again without harm.
grant usage on schema :"schema" to :"role";

grant usage on sequence :"schema".table_id_seq to :"role";

grant execute on function
  :"schema".next_id(),
  :"schema".next_ids(integer)
to :"role";

grant select, insert, update, delete on :"schema".entities to :"role";

grant select on :"schema".hv_owner, :"schema".hv_ledger to :"role";
