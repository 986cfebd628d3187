-- What a shard on this server says of itself: which server owns it, since which epoch of the map. Null for a shard that is
-- not here. Runs as the owner of the installation: a program may ask about a shard that it may use no more. Takes no lock.
create or replace function hypervault.owner_of(shard integer, out server text, out epoch bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _schema text := (select settings.prefix || lpad(owner_of.shard::text, 4, '0') from hypervault.settings);
begin
  if to_regclass(format('%I.hv_owner', _schema)) is null then
    return;
  end if;
  execute format('select owner.server, owner.epoch from %I.hv_owner as owner', _schema)
  into owner_of.server, owner_of.epoch;
end
$$;
