-- Begins a move in the journal and answers its number. Raises SV009 when an import writes into the shard, 23505 when a move of
-- it is not over. Run it in a transaction that is read committed.
-- Lock: advisory (placing, 0) to the end of the transaction, as hypervault.import_hold_shards takes it.
create or replace function hypervault.move_begin(shard integer, source text, target text, author text)
returns bigint
language plpgsql
as $$
declare
  _holders text[];
  _id bigint;
begin
  perform pg_advisory_xact_lock(1213595657, 0); -- placing
  if to_regprocedure('hypervault.import_holders(integer)') is not null then
    execute 'select array(select hypervault.import_holders($1))'
    into _holders
    using move_begin.shard;
    if cardinality(_holders) > 0 then
      raise exception 'an import writes into shard %', move_begin.shard
        using errcode = 'SV009',
              detail = json_build_object('sources', _holders);
    end if;
  end if;
  insert into hypervault.moves (shard, source, target, author)
  values (move_begin.shard, move_begin.source, move_begin.target, move_begin.author)
  returning moves.id into _id;
  return _id;
end
$$;
