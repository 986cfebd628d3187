-- The slice, of a number of slices, into which a stream falls: time and sequence of its id, so that
-- streams made one after the other spread evenly. The rule may never change: slices keep positions.
create or replace function :"schema".hv_slice_of(stream bigint, slices integer)
returns integer
language sql
immutable
parallel safe
as $$
  select (((stream >> 23) # (stream & 1023)) % slices)::integer
$$;
