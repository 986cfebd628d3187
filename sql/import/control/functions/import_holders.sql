-- The sources that write into a shard, or did before their tables went their own way: it must not be moved. Asked by
-- hypervault.move_begin. One that an earlier version has copied says nothing of its shards and holds them all.
-- Runs as its owner: a mover may not look into the catalogue. Takes no lock.
create or replace function :"schema".import_holders(_shard integer)
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select s.name
      from hypervault.import_source s
     where _shard = any(s.held_shards)
        or (s.held_shards is null and s.status <> 'ready' and s.target ->> 'kind' = 'shards')
     order by s.name;
end;
$$;
