-- What every shard on this server says of itself: which server owns it, since which epoch of the map. A shard is a schema
-- with an owner row, named by the prefix of this installation and four digits. Runs as the owner of the installation: a
-- program may ask about a shard that it may use no more. Takes no lock that others notice.
create or replace function hypervault.owners()
returns table (shard integer, server text, epoch bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  _prefix text := (select settings.prefix from hypervault.settings);
  _schema text;
begin
  for _schema in
    select namespace.nspname
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relname = 'hv_owner'
      and namespace.nspname ~ ('^' || _prefix || '\d{4}$')
    order by namespace.nspname
  loop
    shard := right(_schema, 4)::integer;
    execute format('select owner.server, owner.epoch from %I.hv_owner as owner', _schema)
    into owners.server, owners.epoch;
    return next;
  end loop;
end
$$;
