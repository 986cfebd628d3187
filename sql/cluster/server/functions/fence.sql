-- Puts a fence (see refuse_moved) before one table of a copy that is not the shard; one that is there is put anew, with this
-- epoch and server. Lock: SHARE ROW EXCLUSIVE on the table, to the end of the transaction.
create or replace function hypervault.fence(schema text, "table" text, server text, epoch bigint)
returns void
language plpgsql
as $$
begin
  execute format(
    'create or replace trigger hv_fence before insert or update or delete or truncate on %I.%I
     for each statement execute function hypervault.refuse_moved(%L, %L)',
    fence.schema,
    fence.table,
    fence.epoch,
    fence.server
  );
end
$$;
