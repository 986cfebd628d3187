-- Milliseconds since the epoch by this server's clock; negative before it. Inlined by the planner.
-- date_part, not extract: extract is numeric since Postgres 14 and three times as slow here.
create or replace function hypervault.clock_ms()
returns bigint
language sql
volatile
return floor(date_part('epoch', clock_timestamp()) * 1000)::bigint - hypervault.epoch_ms();
