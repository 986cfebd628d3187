-- The next n ids of this shard, ascending: see hypervault.next_ids.
create or replace function :"schema".next_ids(n integer)
returns setof bigint
language sql
volatile
rows 500
begin atomic
  select id from hypervault.next_ids(:'sequence'::regclass, :'shard'::integer, n) as id;
end;
