-- Shuts a shard for good, in the transaction that holds its gate (advisory lock writers): the owner row names the new server,
-- so every writer is refused from the commit on, which is the point of no return of a move. What the sequences have given
-- so far is kept beside the marker, for move_stop.
-- `rehearse`: changes nothing. The first call of a session is several times slower than its second, and everybody waits for it.
-- Raises SV004 when another owner has come meanwhile. Lock: the owner row, to the end of the transaction.
create or replace function hypervault.move_shut(schema text, server text, epoch bigint, rehearse boolean)
returns void
language plpgsql
as $$
begin
  execute format(
    'update %I.hv_move
     set sequences = (
       select jsonb_object_agg(sequences.name, sequences.used)
       from hypervault.shard_sequences($1) as sequences
     )
     where what = ''sequences'' and not $2',
    move_shut.schema
  )
  using move_shut.schema, move_shut.rehearse;
  if move_shut.rehearse then
    perform hypervault.claim(move_shut.schema, move_shut.server, -1); -- older than any
    return;
  end if;
  if not hypervault.claim(move_shut.schema, move_shut.server, move_shut.epoch) then
    raise exception using
      errcode = 'SV004',
      message = format('%I has an owner of a later epoch than %s', move_shut.schema, move_shut.epoch);
  end if;
end
$$;
