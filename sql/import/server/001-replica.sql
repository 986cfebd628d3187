-- What a server that receives rows keeps about them. It stands beside the rows, because both have to be written in
-- one transaction: a place of the source's log is stored together with the changes up to it, a chunk of the initial
-- copy is marked done together with its rows. So a crash at any moment loses nothing and repeats nothing.
--
-- `source` is the key that the catalogue gave to a source; a server may serve several catalogues.

-- How far the changes of a source are applied here.
create table if not exists :"schema".import_position (
  source uuid primary key,
  ordinal numeric(40) not null,
  position text not null,
  gtid text,
  -- source time of the newest change applied
  source_time timestamptz,
  changes bigint not null default 0,
  transactions bigint not null default 0,
  statements bigint not null default 0,
  applied timestamptz not null default clock_timestamp()
)
with (fillfactor = 50);

-- The structure of each table at that place of the log: as the source had it, and as it stands here. Written with the
-- position, so that a statement of the source is neither missed nor followed twice.
create table if not exists :"schema".import_structure (
  source uuid not null,
  table_id bigint not null,
  -- counts the structures the table has had
  version integer not null,
  source_structure jsonb not null,
  target_structure jsonb not null,
  primary key (source, table_id)
);

-- Chunks of the initial copy that are done here.
create table if not exists :"schema".import_chunk (
  source uuid not null,
  table_id bigint not null,
  chunk integer not null,
  -- the place of the log that its rows show
  ordinal numeric(40) not null,
  position text not null,
  gtid text,
  rows bigint not null,
  finished timestamptz not null default clock_timestamp(),
  primary key (source, table_id, chunk)
);

-- Values that a policy replaced because the target type cannot hold them: how many, by column.
create table if not exists :"schema".import_altered_column (
  source uuid not null,
  table_id bigint not null,
  column_name text not null,
  occurrences bigint not null,
  primary key (source, table_id, column_name)
);

-- The same one by one, as many as `import_note_altered_values` keeps.
create table if not exists :"schema".import_altered_value (
  source uuid not null,
  table_id bigint not null,
  column_name text not null,
  key text not null,
  original text not null,
  replacement text,
  noted timestamptz not null default clock_timestamp()
);

create index if not exists import_altered_value_column
  on :"schema".import_altered_value (source, table_id, column_name);
