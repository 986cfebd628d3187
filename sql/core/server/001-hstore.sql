-- hstore holds the bodies of entities. An hstore that is there already stays where it is.
-- Takes no lock that others notice. Needs CREATE on the database; hstore is a trusted extension.
create extension if not exists hstore
  with schema :"hstore_schema";
