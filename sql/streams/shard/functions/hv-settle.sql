-- Writes down what a consumer has settled, all in one step.
--
-- slices/terms/positions: up to which position each slice is settled. The row of a roundRobin
--   slice that is at its end is free for hv_cut.
-- retry_*: events to try again at now + delay, or (attempts 0) to keep behind an earlier event of their stream;
--   park_*: events to put aside for people. Both count as settled for their slice. Their slice is null when they were
--   waiting for a retry before (hv_claim).
-- finished: retried events that are done with. count: how many events were settled in all, for the statistics.
-- Returns the slices that are no longer this consumer's: nothing of theirs was written. An event that its handler's
-- own transaction has settled (hv_settle_within) is not retried or parked, whatever the consumer knows of it.
--
-- Locks the consumer's row, then slices in order of their number, until commit. Now and then hv_retries as a whole, when
-- it is empty and free.
create or replace function :"schema".hv_settle(
  group_id bigint,
  consumer uuid,
  slices integer[],
  terms bigint[],
  positions bigint[],
  retry_slices integer[],
  retry_positions bigint[],
  retry_events bigint[],
  retry_attempts integer[],
  retry_delays bigint[],
  retry_reasons text[],
  park_slices integer[],
  park_positions bigint[],
  park_events bigint[],
  park_attempts integer[],
  park_reasons text[],
  finished bigint[],
  count bigint
)
returns integer[]
language plpgsql
set search_path = :"schema", pg_temp
as $$
declare
  _now timestamptz := clock_timestamp();
  _kept integer[];
  -- settled already, by the handlers' own transactions
  _settled bigint[] := '{}';
begin
  update hv_consumers c
  set settled = c.settled + hv_settle.count
  where c.group_id = hv_settle.group_id
    and c.consumer = hv_settle.consumer;

  select coalesce(array_agg(k.slice), '{}')
  into _kept
  from (
    select l.slice
    from unnest(hv_settle.slices, hv_settle.terms) t (slice, term)
    join hv_slices l
      on l.group_id = hv_settle.group_id
      and l.slice = t.slice
      and l.term = t.term
      and l.owner = hv_settle.consumer
    order by l.slice
    for update of l
  ) k;

  if cardinality(retry_positions) + cardinality(park_positions) > 0 then
    _settled := array(
      select n.position
      from unnest(retry_slices || park_slices, retry_positions || park_positions) n (slice, position)
      join hv_slices l on l.group_id = hv_settle.group_id and l.slice = n.slice
      where n.position <= l.position
        or n.position = any (l.done)
    );
  end if;

  update hv_slices l
  set
    position = greatest(l.position, t.position),
    done = case
      when l.done = '{}' then l.done
      else array(select d from unnest(l.done) d where d > t.position)
    end
  from unnest(hv_settle.slices, hv_settle.positions) t (slice, position)
  where l.group_id = hv_settle.group_id
    and l.slice = t.slice
    and t.slice = any (_kept);

  if cardinality(retry_positions) > 0 then
    insert into hv_retries as r (group_id, position, slice, stream, event, attempts, reason, due_at)
    select
      hv_settle.group_id,
      n.position,
      case when g.strategy = 'ordered' then n.slice end,
      e.stream,
      e.id,
      n.attempts,
      n.reason,
      _now + n.delay * interval '1 ms'
    from unnest(retry_slices, retry_positions, retry_events, retry_attempts, retry_delays, retry_reasons)
      n (slice, position, event, attempts, delay, reason)
    join hv_events e on e.id = n.event
    join hv_groups g on g.id = hv_settle.group_id
    where n.slice = any (_kept)
      and n.position <> all (_settled)
    on conflict on constraint hv_retries_pkey do nothing;

    update hv_retries r
    set
      attempts = n.attempts,
      reason = n.reason,
      due_at = _now + n.delay * interval '1 ms',
      owner = null,
      expires_at = null
    from unnest(retry_slices, retry_positions, retry_attempts, retry_delays, retry_reasons)
      n (slice, position, attempts, delay, reason)
    where r.group_id = hv_settle.group_id
      and r.position = n.position
      and r.owner = hv_settle.consumer
      and n.slice is null;
  end if;

  if cardinality(park_positions) > 0 then
    insert into hv_parked as p (group_id, position, stream, event, attempts, reason)
    select hv_settle.group_id, n.position, e.stream, e.id, n.attempts, n.reason
    from unnest(park_slices, park_positions, park_events, park_attempts, park_reasons)
      n (slice, position, event, attempts, reason)
    join hv_events e on e.id = n.event
    where n.slice = any (_kept) and n.position <> all (_settled)
      or exists (
        select
        from hv_retries r
        where r.group_id = hv_settle.group_id
          and r.position = n.position
          and r.owner = hv_settle.consumer
      )
    on conflict on constraint hv_parked_pkey do update
    set attempts = excluded.attempts, reason = excluded.reason, parked_at = _now;
  end if;

  delete from hv_retries r
  where r.group_id = hv_settle.group_id
    and r.position = any (hv_settle.finished)
    and r.owner = hv_settle.consumer;

  -- a run that is through: hv_cut takes its row for another one
  update hv_slices l
  set owner = null, expires_at = null
  where l.group_id = hv_settle.group_id
    and l.slice = any (_kept)
    and l.position >= l.upto;

  -- Rows that come and go leave dead ones behind, in the indexes too, and an old transaction somewhere keeps vacuum from
  -- taking them away. When none is left alive the table starts anew, if nobody else is at it in this instant, and without
  -- waiting. Only then: a truncated table looks empty to older snapshots too, such as that of a backup, so what waits
  -- for its retry must not be in it. Another isolation level might not see all that does.
  if pg_relation_size('hv_retries') > 262144
    and not exists (select from hv_retries)
    and current_setting('transaction_isolation') = 'read committed'
    and has_table_privilege('hv_retries', 'truncate')
  then
    begin
      lock table hv_retries in access exclusive mode nowait;
      if not exists (select from hv_retries) then
        truncate hv_retries;
      end if;
    exception
      when lock_not_available then
        null;
    end;
  end if;

  return array(select s from unnest(hv_settle.slices) s where s <> all (_kept));
end
$$;
