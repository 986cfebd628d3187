-- Settles one event inside the transaction of its handler: both are done, or neither.
--
-- slice null: the event was waiting for a retry. position: where everything up to there is settled by now; null when
-- earlier events are still in hand, then the event is remembered beside the slice's position.
-- Raises SV041 when the event is no longer this consumer's, so that the handler's work is undone.
-- Locks the slice's row until commit: handlers of one slice commit one after the other.
create or replace function :"schema".hv_settle_within(
  group_id bigint,
  consumer uuid,
  slice integer,
  term bigint,
  event_position bigint,
  settled_to bigint
)
returns void
language plpgsql
set search_path = :"schema", pg_temp
as $$
begin
  if slice is null then
    delete from hv_retries r
    where r.group_id = hv_settle_within.group_id
      and r.position = event_position
      and r.owner = hv_settle_within.consumer;
  else
    update hv_slices l
    set
      position = greatest(l.position, settled_to),
      done = case
        when settled_to is null then l.done || event_position
        else array(select d from unnest(l.done) d where d > settled_to)
      end,
      -- a run that is through: hv_cut takes its row for another one
      owner = case when settled_to >= l.upto then null else l.owner end
    where l.group_id = hv_settle_within.group_id
      and l.slice = hv_settle_within.slice
      and l.term = hv_settle_within.term
      and l.owner = hv_settle_within.consumer
      and l.position < event_position
      and event_position <> all (l.done);
  end if;
  if not found then
    raise exception 'the event at % is no longer in the hands of this consumer', event_position
      using errcode = 'SV041';
  end if;
end
$$;
