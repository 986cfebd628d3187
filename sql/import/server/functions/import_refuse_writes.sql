-- Trigger function that lets nobody write to a table whose rows are changed elsewhere now (SV022). Streams of our own
-- pass, for they set session_replication_role to replica. Takes no lock.
create or replace function :"schema".import_refuse_writes()
returns trigger
language plpgsql
as $$
begin
  raise exception 'the table % takes no writes: its rows have moved', tg_relid::regclass
    using errcode = 'SV022',
          hint = 'write where they live now; hypervault import back brings them here again';
end;
$$;
