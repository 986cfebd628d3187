-- Counts values that a policy replaced, and keeps the first thousand of each column with the keys of their rows.
-- `_values` is a JSON array of {table_id, column, key, original, replacement}. Runs in the transaction of the rows,
-- so that a batch that is applied again is not counted twice. Takes row locks on the counters.
create or replace function :"schema".import_note_altered_values(_source uuid, _values jsonb)
returns void
language plpgsql
as $$
declare
  _kept constant bigint := 1000;
begin
  insert into hypervault.import_altered_value (source, table_id, column_name, key, original, replacement)
  select _source, v.table_id, v."column", v.key, v.original, v.replacement
    from (
      select r.*, row_number() over (partition by r.table_id, r."column") as n
        from jsonb_to_recordset(_values)
          as r (table_id bigint, "column" text, key text, original text, replacement text)
    ) v
    left join hypervault.import_altered_column c
      on c.source = _source
     and c.table_id = v.table_id
     and c.column_name = v."column"
   where coalesce(c.occurrences, 0) + v.n <= _kept;

  insert into hypervault.import_altered_column (source, table_id, column_name, occurrences)
  select _source, r.table_id, r."column", count(*)
    from jsonb_to_recordset(_values)
      as r (table_id bigint, "column" text)
   group by r.table_id, r."column"
  on conflict (source, table_id, column_name) do update
     set occurrences = import_altered_column.occurrences + excluded.occurrences;
end;
$$;
