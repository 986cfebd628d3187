-- Entities: a kind and a flat body of texts. A table of the original tool is kept as it is, row by row; only what it
-- lacks is added.
-- Lock: ACCESS EXCLUSIVE on a table that is there already, for a moment.
create table if not exists :"schema".entities (
  id bigint primary key default :"schema".next_id(),
  type smallint not null,
  body :"hstore_schema".hstore not null,
  updated timestamptz default now()
);

select hypervault.take_over_entities(:'schema');
