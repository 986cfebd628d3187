-- The sequences of a shard: where each begins and where it ends, whether it then begins again, and the last value it gave
-- (null: none yet). Takes no lock.
create or replace function hypervault.shard_sequences(schema text)
returns table (name text, increment bigint, first bigint, last bigint, cycle boolean, used bigint)
language sql
volatile
as $$
  select
    class.relname::text,
    sequence.seqincrement,
    sequence.seqstart,
    case when sequence.seqincrement > 0 then sequence.seqmax else sequence.seqmin end,
    sequence.seqcycle,
    pg_catalog.pg_sequence_last_value(class.oid)
  from pg_catalog.pg_sequence as sequence
  join pg_catalog.pg_class as class on class.oid = sequence.seqrelid
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = shard_sequences.schema
  order by class.relname
$$;
