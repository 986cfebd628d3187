-- Keeps writers off the copies of reference tables: a trigger before every statement that writes to a table of the schema.
-- `home` is the server whose tables take writes; null takes the triggers away, on the home itself. Replication passes: its
-- workers run as replicas, for which such triggers do not fire.
-- Lock: SHARE ROW EXCLUSIVE, or ACCESS EXCLUSIVE to take one away, on the tables that need a change.
create or replace function hypervault.guard_references(schema text, home text)
returns void
language plpgsql
as $$
declare
  _table text;
begin
  for _table in
    select tables.name
    from hypervault.reference_tables(guard_references.schema) as tables
    where guard_references.home is not null
       or exists (
         select
         from pg_catalog.pg_trigger as trigger
         where trigger.tgrelid = tables.oid
           and trigger.tgname = 'hv_reference'
       )
  loop
    if guard_references.home is null then
      execute format('drop trigger hv_reference on %I.%I', guard_references.schema, _table);
    else
      execute format(
        'create or replace trigger hv_reference before insert or update or delete or truncate on %I.%I
         for each statement execute function hypervault.refuse_reference(%L)',
        guard_references.schema,
        _table,
        guard_references.home
      );
    end if;
  end loop;
end
$$;
