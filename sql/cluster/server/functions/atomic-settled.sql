-- Whether the part of a shard in a decided atomic write is no longer prepared. Only the shard's owner can say so: a part is
-- prepared where the shard lives, and no move takes it from there before that ends. Raises SV004 elsewhere.
-- Locks, to the end of the transaction: advisory (writers, shard), shared; ROW EXCLUSIVE on hv_decision.
create or replace function hypervault.atomic_settled(schema text, shard integer, gid text)
returns boolean
language plpgsql
as $$
begin
  perform pg_advisory_xact_lock_shared(1213595655, atomic_settled.shard); -- writers
  execute format('delete from %I.hv_decision where false', atomic_settled.schema);
  return not exists (
    select
    from pg_catalog.pg_prepared_xacts as prepared
    where prepared.gid = atomic_settled.gid
  );
end
$$;
