-- Persistent subscriptions of one shard: what each group has done, never a row for each event.
--
-- A group works through a source (one stream by event number; a category or the whole shard by position) in slices.
-- ordered:    a fixed number of slices, each with the streams that fall into it; a slice belongs to one consumer at a
--             time, so the events of a stream come in order.
-- roundRobin: a slice is a short run of positions cut off for the consumer that asks next; when it is done its row
--             serves the next one.
-- A slice keeps the position up to which everything is settled. Only what is retried or parked has rows of its own.
-- So the tables stay as large as what is in flight, whatever went through: what changes with every step is updated in
-- place (no index knows of it, and the pages have room: the server prunes them as it goes), and hv_settle starts
-- hv_retries anew when nothing in it is alive. For what is always busy autovacuum comes early.

create table :"schema".hv_groups (
  id bigint not null default :"schema".next_id(),
  name text collate "C" not null,
  -- a stream's name, 'category-*' or '$all'
  source text collate "C" not null,
  strategy text not null check (strategy in ('ordered', 'roundRobin')),
  slices integer not null check (slices between 1 and 1024),
  max_subscribers integer not null,
  -- what the consumers keep to: see PersistentSettings; revision grows with each change
  settings jsonb not null,
  revision bigint not null default 1,
  -- roundRobin: the last position cut off, and the number of the next slice
  cut bigint not null,
  next_slice integer not null default 0,
  -- settled by consumers that have left
  settled bigint not null default 0,
  primary key (id),
  unique (name, source)
) with (fillfactor = 50);

create table :"schema".hv_slices (
  group_id bigint not null,
  slice integer not null,
  -- everything up to here is settled; of what follows, the positions in done
  position bigint not null,
  done bigint[] not null default '{}',
  -- roundRobin: the slice ends here
  upto bigint,
  owner uuid,
  -- grows with each owner: what an earlier one still sends is refused
  term bigint not null default 0,
  expires_at timestamptz,
  -- how often in a row an owner died within 1000 positions of where it began
  crashes integer not null default 0,
  taken_at bigint,
  primary key (group_id, slice)
) with (fillfactor = 30);

create table :"schema".hv_consumers (
  group_id bigint not null,
  consumer uuid not null,
  label text not null,
  joined_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  settled bigint not null default 0,
  primary key (group_id, consumer)
) with (fillfactor = 30);

-- Events that wait for another try, and in an ordered group the later events of their streams behind them.
create table :"schema".hv_retries (
  group_id bigint not null,
  position bigint not null,
  slice integer,
  stream bigint not null,
  event bigint not null,
  attempts integer not null,
  reason text,
  due_at timestamptz not null,
  owner uuid,
  expires_at timestamptz,
  primary key (group_id, position)
) with (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

create index hv_retries_stream on :"schema".hv_retries (group_id, stream, position);

create table :"schema".hv_parked (
  group_id bigint not null,
  position bigint not null,
  stream bigint not null,
  event bigint not null,
  attempts integer not null,
  reason text,
  parked_at timestamptz not null default clock_timestamp(),
  primary key (group_id, position)
);
