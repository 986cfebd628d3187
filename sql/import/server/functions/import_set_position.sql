-- Sets the position of a source outright, after a copy. Counters begin anew. Takes a row lock.
create or replace function :"schema".import_set_position(
  _source uuid,
  _ordinal numeric,
  _position text,
  _gtid text
)
returns void
language sql
as $$
  insert into hypervault.import_position (source, ordinal, position, gtid)
  values (_source, _ordinal, _position, _gtid)
  on conflict (source) do update
     set ordinal = excluded.ordinal,
         position = excluded.position,
         gtid = excluded.gtid,
         source_time = null,
         changes = 0,
         transactions = 0,
         statements = 0,
         applied = clock_timestamp();
$$;
