-- Whether a segment of the log begins or ends a prepared XA transaction: a reader that begins again behind the log has to
-- know them.
alter table :"schema".import_log
  add column if not exists prepared boolean not null default false;

-- From where the log has to be read for the copy in hand or the last one: so far back that each XA transaction which was
-- prepared when the rows were read comes by with what it changed.
alter table :"schema".import_source
  add column if not exists copy_from jsonb;
