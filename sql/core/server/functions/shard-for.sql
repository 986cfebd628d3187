-- The shard of a routing key, the same as shardFor() in TypeScript; null until the slots are fixed. Takes no lock.
create or replace function hypervault.shard_for(routing_key text)
returns integer
language sql
stable
as $$
  select settings.first_shard + (('x' || left(md5(shard_for.routing_key), 8))::bit(32)::bigint % settings.slots)::integer
  from hypervault.settings
$$;
