-- The guard of a copy of a reference table. Raises SV050 with the server that takes writes. Takes no lock.
create or replace function hypervault.refuse_reference()
returns trigger
language plpgsql
as $$
begin
  raise exception using
    errcode = 'SV050',
    message = format('%I.%I is a copy: write to the table on %s, from where it is carried to all servers',
      tg_table_schema, tg_table_name, tg_argv[0]),
    detail = json_build_object('server', tg_argv[0])::text;
end
$$;
