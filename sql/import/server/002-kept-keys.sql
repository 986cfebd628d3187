-- Foreign keys of tables that were there before the import (keep_existing_schema). While their rows are replicated they
-- would check, and act, on states in between; they are taken off in the transaction that fills the tables, and made
-- again at the end.
create table if not exists :"schema".import_kept_key (
  source uuid not null,
  schema_name text not null,
  table_name text not null,
  name text not null,
  -- as pg_get_constraintdef gives it
  definition text not null,
  -- whether the rows had been checked against it
  validated boolean not null,
  primary key (source, schema_name, table_name, name)
);
