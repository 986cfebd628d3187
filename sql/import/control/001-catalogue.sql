-- The catalogue of the import: which sources there are, what became of each of their tables, and what went wrong.
-- Positions and finished chunks are not here but beside the rows they speak of (import/server).

create table if not exists :"schema".import_source (
  source_id bigint generated always as identity primary key,
  -- names the source on the servers that receive its rows
  key uuid not null unique default gen_random_uuid(),
  name text not null unique,
  kind text not null
    check (kind in ('mysql', 'pgsql')),
  status text not null default 'ready'
    check (status in ('ready', 'initialising', 'initialised', 'syncing', 'synced', 'stopped', 'running', 'error')),
  -- why the status is error
  reason text,
  -- origin schema → target schema
  mappings jsonb not null,
  -- where the rows go: {"kind":"schema","server":…} or {"kind":"shards",…}
  target jsonb not null,
  -- the place from which the tables are consistent with each other
  high_water numeric(40),
  consistent boolean not null default true,
  -- set by stop-replica, seen by the workers
  stop_requested boolean not null default false,
  -- set by run-maintenance, seen by the workers
  paused boolean not null default false,
  last_maintenance timestamptz,
  -- the reading worker: how far it is, and when it last heard of the source
  read_ordinal numeric(40),
  read_position text,
  read_source_time timestamptz,
  read_at timestamptz,
  heard_at timestamptz,
  -- which server the log was read from, to notice a failover
  origin text,
  added timestamptz not null default clock_timestamp()
);

create table if not exists :"schema".import_table (
  table_id bigint generated always as identity primary key,
  source_id bigint not null
    references :"schema".import_source on delete cascade,
  origin_schema text not null,
  origin_table text not null,
  target_schema text not null,
  target_table text not null,
  -- where its rows go: {"kind":"one"}, {"kind":"reference"} or {"kind":"by","columns":[…]}
  routing jsonb not null,
  -- the structure at the place of the log that is applied: as the source has it, and as the target has it
  source_structure jsonb not null,
  target_structure jsonb not null,
  version integer not null default 1,
  -- followed: changes are applied; aside: not any more, for `reason`; copying: not yet;
  -- dropped: the statement that drops it is read and not yet applied
  state text not null default 'copying'
    check (state in ('copying', 'followed', 'aside', 'dropped')),
  reason text,
  -- how the copy is cut into chunks
  chunks jsonb,
  -- the place of the log that the copied rows show: {"all":…,"column":…,"ranges":[…]}
  copied_at jsonb,
  -- unique indexes that wait until the table is consistent
  pending_indexes jsonb not null default '[]',
  unique (source_id, origin_schema, origin_table)
);

create table if not exists :"schema".import_error (
  error_id bigint generated always as identity primary key,
  source_id bigint
    references :"schema".import_source on delete cascade,
  table_id bigint,
  table_name text,
  -- copy, read, replay, statement
  phase text not null,
  message text not null,
  -- the statement or the row it was about
  sql text,
  position text,
  -- what to do about it
  remedy text,
  noted timestamptz not null default clock_timestamp()
);

create index if not exists import_error_source
  on :"schema".import_error (source_id, error_id);

-- Statements of the source that are not row changes, and what was made of each.
create table if not exists :"schema".import_statement (
  statement_id bigint generated always as identity primary key,
  source_id bigint not null
    references :"schema".import_source on delete cascade,
  outcome text not null
    check (outcome in ('followed', 'harmless', 'unknown', 'set aside')),
  origin_schema text,
  sql text not null,
  position text not null,
  source_time timestamptz,
  noted timestamptz not null default clock_timestamp(),
  -- the same statement read again after a restart
  unique (source_id, position)
);

-- Changes that were read and not yet applied, when the two workers run apart from each other.
create table if not exists :"schema".import_log (
  source_id bigint not null
    references :"schema".import_source on delete cascade,
  -- never given out twice, so that taking segments away cannot meet new ones
  segment bigint generated always as identity,
  -- whether a source transaction ends with it
  complete boolean not null,
  ordinal numeric(40),
  position text,
  gtid text,
  changes bigint not null,
  payload bytea not null,
  read timestamptz not null default clock_timestamp(),
  primary key (source_id, segment)
);

-- Views of the user that could not be made again after their tables were replaced.
create table if not exists :"schema".import_lost_view (
  schema_name text not null,
  view_name text not null,
  definition text not null,
  reason text not null,
  noted timestamptz not null default clock_timestamp(),
  primary key (schema_name, view_name)
);
