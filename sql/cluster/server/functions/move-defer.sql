-- Makes a new copy ready to be filled: empties its tables of what migrations have put there, which comes with the copy,
-- and takes away what a copy is faster without: foreign keys, unique and exclusion constraints, and indexes that are neither a
-- primary key nor a replica identity. Returns the statements that make them again, in the order they must run:
-- {"indexes":[{"name":…,"statement":…}],"foreignKeys":[…]}.
-- Lock: ACCESS EXCLUSIVE on its tables.
create or replace function hypervault.move_defer(schema text)
returns jsonb
language plpgsql
as $$
declare
  _keys jsonb := '[]';
  _indexes jsonb := '[]';
  _found record;
  _tables text := (
    select string_agg(format('%I.%I', move_defer.schema, tables.name), ', ')
    from hypervault.move_tables(move_defer.schema) as tables
  );
begin
  if _tables is not null then
    execute format('truncate %s', _tables);
  end if;
  for _found in
    select pg_constraint.conname as name, class.oid::regclass as "table", pg_get_constraintdef(pg_constraint.oid) as definition
    from pg_catalog.pg_constraint
    join pg_catalog.pg_class as class on class.oid = pg_constraint.conrelid
    where class.relnamespace = move_defer.schema::regnamespace
      and pg_constraint.contype = 'f'
    order by class.relname, pg_constraint.conname
  loop
    _keys := _keys || jsonb_build_object(
      'name', _found.name,
      'statement', format('alter table %s add constraint %I %s', _found.table, _found.name, _found.definition)
    );
    execute format('alter table %s drop constraint %I', _found.table, _found.name);
  end loop;
  for _found in
    select pg_constraint.conname as name, class.oid::regclass as "table", pg_get_constraintdef(pg_constraint.oid) as definition
    from pg_catalog.pg_constraint
    join pg_catalog.pg_class as class on class.oid = pg_constraint.conrelid
    join pg_catalog.pg_index as index on index.indexrelid = pg_constraint.conindid
    where class.relnamespace = move_defer.schema::regnamespace
      and pg_constraint.contype in ('u', 'x')
      and not index.indisreplident
    order by class.relname, pg_constraint.conname
  loop
    _indexes := _indexes || jsonb_build_object(
      'name', _found.name,
      'statement', format('alter table %s add constraint %I %s', _found.table, _found.name, _found.definition)
    );
    execute format('alter table %s drop constraint %I', _found.table, _found.name);
  end loop;
  for _found in
    select index_class.relname as name, index.indexrelid::regclass as "index", pg_get_indexdef(index.indexrelid) as definition
    from pg_catalog.pg_index as index
    join pg_catalog.pg_class as index_class on index_class.oid = index.indexrelid
    join pg_catalog.pg_class as class on class.oid = index.indrelid
    where class.relnamespace = move_defer.schema::regnamespace
      and class.relkind = 'r'
      and not index.indisprimary
      and not index.indisreplident
      and not exists (select from pg_catalog.pg_constraint where pg_constraint.conindid = index.indexrelid)
    order by index_class.relname
  loop
    _indexes := _indexes || jsonb_build_object('name', _found.name, 'statement', _found.definition);
    execute format('drop index %s', _found.index);
  end loop;
  return jsonb_build_object('indexes', _indexes, 'foreignKeys', _keys);
end
$$;
