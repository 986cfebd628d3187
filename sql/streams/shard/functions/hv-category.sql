-- The category a stream belongs to: the hash of what stands before the first '-' of its name; null when nothing does.
-- Inlined by the planner, so it is written without a search path of its own.
create or replace function :"schema".hv_category(name text)
returns bigint
language sql
immutable
parallel safe
return case
  when position('-' in name) > 1 then hashtextextended(split_part(name, '-', 1), 0)
end;
