-- The sequences of a shard with their bounds: identity columns and those of own tables too. `used` is the highest value
-- (lowest, for one that counts down) that was ever given out, null when none was. Takes no lock.
create or replace function hypervault.move_sequences(schema text)
returns table (name text, increment bigint, lowest bigint, highest bigint, cycle boolean, used bigint)
language sql
stable
as $$
  select
    class.relname::text,
    sequence.seqincrement,
    sequence.seqmin,
    sequence.seqmax,
    sequence.seqcycle,
    pg_catalog.pg_sequence_last_value(class.oid)
  from pg_catalog.pg_sequence as sequence
  join pg_catalog.pg_class as class on class.oid = sequence.seqrelid
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = move_sequences.schema
  order by class.relname
$$;
