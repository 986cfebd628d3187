-- Begins a shard's part of an atomic write over several shards, as the first statement of its transaction: from here to its
-- end, and so as long as it is prepared, no move hands the shard over; and it waits for no lock longer than lock_ms, nor for
-- its client longer than idle_ms, since no server sees a deadlock over several of them. Its commit is flushed before it is
-- answered, whatever the session's settings: a decision must not be forgotten that others have acted on.
-- Raises SV004 when the shard lives elsewhere, SV008 when it is being handed over at this moment.
-- Locks, to the end of the transaction: advisory (writers, shard), shared; ROW EXCLUSIVE on hv_decision, by which movers
-- know a writer.
create or replace function hypervault.atomic_enter(schema text, shard integer, lock_ms integer, idle_ms integer)
returns void
language plpgsql
as $$
begin
  perform set_config('lock_timeout', atomic_enter.lock_ms::text, true),
    set_config('idle_in_transaction_session_timeout', atomic_enter.idle_ms::text, true);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  perform pg_advisory_xact_lock_shared(1213595655, atomic_enter.shard); -- writers
  -- Writes nothing, and meets the gate or the fence as any write does.
  execute format('delete from %I.hv_decision where false', atomic_enter.schema);
  if exists (
    select
    from pg_catalog.pg_trigger as trigger
    where trigger.tgrelid = format('%I.hv_decision', atomic_enter.schema)::regclass
      and trigger.tgname = 'hv_fence'
  ) then
    raise exception using
      errcode = 'SV008',
      message = format('%I is being handed over to another server, or has just come', atomic_enter.schema),
      hint = 'Try again in a moment.';
  end if;
end
$$;
