-- The id generator of a shard. `next_id()` is a wrapper that the planner inlines: sequence and shard are constants.
-- A shard made by the original tool is taken over: see hypervault.take_over_ids for the locks.
create sequence if not exists :"schema".table_id_seq;

select hypervault.take_over_ids(:'schema', :'shard'::integer);

create or replace function :"schema".next_id()
returns bigint
language sql
volatile
return hypervault.next_id(:'sequence'::regclass, :'shard'::integer);
