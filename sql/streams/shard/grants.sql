-- The least rights an app role needs for streams in a shard.
-- May be run again without harm.
grant select, insert, update, delete on
  :"schema".hv_streams,
  :"schema".hv_events,
  :"schema".hv_all,
  :"schema".hv_sequencer,
  :"schema".hv_groups,
  :"schema".hv_slices,
  :"schema".hv_consumers,
  :"schema".hv_retries,
  :"schema".hv_parked
to :"role";

-- for hv_settle, which starts it anew when nothing in it is alive
grant truncate on :"schema".hv_retries to :"role";
