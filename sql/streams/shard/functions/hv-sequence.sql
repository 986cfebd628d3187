-- The sequencing pass: gives positions to committed events that have none.
--
-- Promises: no committed event is ever passed by, none gets two positions, positions are gapless, events of a stream
-- keep their order. A writer that stays open delays its own events and nobody else's; a rolled-back one leaves no trace.
-- Runs in a transaction of its own, committed at once: positions must be visible before the next pass begins.
--
-- Which events may lack a position: those the last complete pick could not see. hv_sequencer.snapshot is that pick's
-- own snapshot, so they are written by a transaction at or above its xmax, or by one it saw in progress. The upper
-- bound leaves out transaction ids of another cluster, on events that came with a move or a restore. In a
-- cluster other than the one the snapshot speaks of, every event is a candidate, once.
-- A candidate may have a position already: given by a pass since then that left something behind, in the order of ids,
-- or in another cluster, with a transaction id that comes up here only now. All these have ids up to placed_upto, so
-- only there is it looked for; should that ever be wrong, the unique event in hv_all refuses a second position.
--
-- Lock: pg_try_advisory_xact_lock(0x48560004 = streamsSequence, shard) until commit; when another session holds it,
-- returns busy at once. The lock is taken by a statement of its own, and the pick sees what the last holder committed,
-- because under READ COMMITTED each statement looks anew: one statement for both gave events twice.
--
-- watching: the caller follows the shard. It is noted for a minute, so that appending processes learn from their own
-- passes (watched) whether anybody waits for positions; when nobody does they pass more seldom.
create or replace function :"schema".hv_sequence(max_events integer default 20000, watching boolean default false)
returns table (given integer, head bigint, more boolean, busy boolean, watched boolean)
language plpgsql
set search_path = :"schema", pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  _shard integer;
  _head bigint;
  _old pg_snapshot;
  _new pg_snapshot;
  _here bigint := (select c.system_identifier from pg_control_system() c);
  _moved boolean;
  _given integer;
  _watched_until timestamptz;
  _placed_upto bigint;
  _last bigint;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the sequencing pass needs read committed, not %', current_setting('transaction_isolation')
      using errcode = 'SV040';
  end if;

  select s.shard
  into strict _shard
  from hv_sequencer s;

  if not pg_try_advisory_xact_lock(x'48560004'::integer, _shard) then
    return query
    select 0, s.head, true, true, s.watched_until > now()
    from hv_sequencer s;
    return;
  end if;

  select s.head, s.snapshot, s.system is distinct from _here, s.watched_until, s.placed_upto
  into strict _head, _old, _moved, _watched_until, _placed_upto
  from hv_sequencer s;

  if _moved then
    with picked as (
      select e.id, e.stream, e.category
      from hv_events e
      where not exists (select from hv_all a where a.event = e.id)
      order by e.id
      limit max_events
    ), placed as (
      insert into hv_all (pos, event, stream, category)
      select _head + row_number() over (order by p.id), p.id, p.stream, p.category
      from picked p
      returning event
    )
    select count(*), pg_current_snapshot()
    into _given, _new
    from placed;

    -- a statement of its own: it counts in what the one before has placed
    _last := (select max(a.event) from hv_all a);
  else
    with picked as (
      select c.id, c.stream, c.category
      from (
        select e.id, e.stream, e.category
        from hv_events e
        where e.xid >= pg_snapshot_xmax(_old)
          and e.xid < pg_snapshot_xmax(pg_current_snapshot())
        union all
        select e.id, e.stream, e.category
        from hv_events e
        where e.xid = any (array(select pg_snapshot_xip(_old)))
      ) c
      -- a scalar subquery, not an anti-join: one probe for each of these, whatever the planner thinks of their number
      where c.id > _placed_upto
        or (select a.pos from hv_all a where a.event = c.id) is null
      order by c.id
      limit max_events
    ), placed as (
      insert into hv_all (pos, event, stream, category)
      select _head + row_number() over (order by p.id), p.id, p.stream, p.category
      from picked p
      returning event
    )
    select count(*), max(p.event), pg_current_snapshot()
    into _given, _last, _new
    from placed p;
  end if;

  if watching and _watched_until < now() + interval '30 seconds' then
    _watched_until := now() + interval '1 minute';
    update hv_sequencer s
    set watched_until = _watched_until;
  end if;

  if _given > 0 or _moved then
    -- a limited pick moves the snapshot only when it left nothing behind
    update hv_sequencer s
    set head = s.head + _given,
      snapshot = case when _given < max_events then _new else s.snapshot end,
      placed_upto = case when _moved or _given = max_events then greatest(s.placed_upto, _last) else s.placed_upto end,
      system = case when _given < max_events then _here else s.system end;
  end if;

  if _given > 0 then
    -- one for the pass, never one for each append: NOTIFY takes a lock of the whole cluster at commit
    perform pg_notify('hypervault_streams', current_schema() || ' ' || (_head + _given));
  end if;

  return query
  select _given, _head + _given, _given = max_events, false, _watched_until > now();
end
$$;
