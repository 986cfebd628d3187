-- Keeps writers off the copy of a reference table: a trigger before every statement that writes to it. `home` is the server
-- whose table takes writes; null takes the trigger away, on the home itself. Replication passes: its workers run as replicas,
-- for which such triggers do not fire.
-- Lock: SHARE ROW EXCLUSIVE, or ACCESS EXCLUSIVE to take one away, on the table if it needs a change. Where programs are at
-- work, each table is a transaction of its own, so that it can't meet one that uses several in a deadlock.
create or replace function hypervault.guard_reference(schema text, "table" text, home text)
returns void
language plpgsql
as $$
declare
  _table regclass := format('%I.%I', guard_reference.schema, guard_reference.table)::regclass;
  _guard text := format('hypervault.refuse_reference(%L)', guard_reference.home);
  _there text := (
    select right(pg_get_triggerdef(trigger.oid), length(_guard))
    from pg_catalog.pg_trigger as trigger
    where trigger.tgrelid = _table
      and trigger.tgname = 'hv_reference'
  );
begin
  if guard_reference.home is null then
    execute format('drop trigger if exists hv_reference on %s', _table);
  elsif _there is distinct from _guard then
    execute format(
      'create or replace trigger hv_reference before insert or update or delete or truncate on %s
       for each statement execute function %s',
      _table,
      _guard
    );
  end if;
end
$$;
