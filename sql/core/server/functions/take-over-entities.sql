-- Gives the entities of a shard made by the original tool what ours have: `updated` was missing in its first version
-- and without time zone in its second. With the session in UTC, where the tool wrote it, neither rewrites a row; with a
-- view hanging on the column it stays as it is, and is read as UTC.
-- Lock: ACCESS EXCLUSIVE on entities to the end of the transaction, only when there is something to do.
create or replace function hypervault.take_over_entities(schema text)
returns void
language plpgsql
as $$
declare
  _entities regclass := format('%I.entities', take_over_entities.schema)::regclass;
  _type regtype := (
    select atttypid
    from pg_catalog.pg_attribute
    where attrelid = _entities
      and attname = 'updated'
      and not attisdropped
  );
begin
  if _type is null then
    execute format('alter table %s add column updated timestamptz', _entities);
    execute format('alter table %s alter column updated set default now()', _entities);
  elsif _type = 'timestamp'::regtype then
    perform set_config('timezone', 'UTC', true);
    begin
      execute format(
        'alter table %s alter column updated type timestamptz, alter column updated set default now()',
        _entities
      );
    exception
      when feature_not_supported then
        null;
    end;
  end if;
end
$$;
