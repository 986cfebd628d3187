-- The next n ids of a shard, ascending, 0 to 1,000,000 of them.
--
-- In chunks of at most 511: each begins with one that next_id has checked and goes on with plain values of the
-- sequence, 2 million a second. Those are drawn under the lock that next_id_behind takes exclusively, so that it never
-- sets the sequence past them or they run past what it sets, however many sessions reserve at once.
-- What it gives is on disk before the caller has it: the message makes the commit wait for the log. Without it a power
-- cut could make the server forget values that another session's record had taken ahead and that had gone out already,
-- and draw them again when its clock is behind the sequence. An id that goes into a row needs no such care.
-- Lock: advisory (nextId, shard), shared, for one chunk; given back like there, by a subtransaction rolled back.
create or replace function hypervault.next_ids(sequence regclass, shard integer, n integer)
returns setof bigint
language plpgsql
rows 500
as $$
declare
  _left integer := next_ids.n;
begin
  if _left is null or _left not between 0 and 1000000 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('%s ids asked for; ask for 0 to 1000000', coalesce(_left::text, 'null'));
  end if;
  if _left > 0 then
    perform pg_catalog.pg_logical_emit_message(true, 'hypervault', '');
  end if;
  while _left > 0 loop
    return next hypervault.next_id(next_ids.sequence, next_ids.shard);
    if _left > 1 then
      begin
        perform pg_catalog.pg_advisory_xact_lock_shared(1213595650, next_ids.shard); -- nextId
        return query
          select (drawn.position & -1024) << 13 | (next_ids.shard << 10)::bigint | (drawn.position & 1023)
          from (
            select pg_catalog.nextval(next_ids.sequence) as position
            from pg_catalog.generate_series(2, least(_left, 511))
          ) as drawn;
        raise exception using errcode = 'SV000';
      exception
        when sqlstate 'SV000' then
          null;
      end;
    end if;
    _left := _left - 511;
  end loop;
end
$$;
