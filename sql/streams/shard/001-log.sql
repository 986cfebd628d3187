-- The log of one shard: streams, their events, and the order of all events.
--
-- Promises: within a stream, numbers run 0, 1, 2 … without a gap and are exact at commit.
-- Over the shard, hv_all gives positions 1, 2, 3 … after commit (see functions/hv_sequence.sql),
-- so that whoever reads "position above mine" never passes by an event that commits later.
--
-- Every id comes from next_id(): it says when and where, it grows under a stream's row lock,
-- and its sequence is carried along when the shard moves to another server.
--
-- No check constraints on what an append writes: the server parses each of them anew with every statement, which made
-- up a fifth of a single append. The functions see to what is said in the comments; nothing else writes here.

-- One row for each stream. Its row lock is the only lock an append holds until commit.
create table :"schema".hv_streams (
  id bigint not null default :"schema".next_id(),
  name text collate "C" not null,
  -- hv_category(name), set by whoever makes the row: as a generated column it cost 7 of the 12 us of each new version
  category bigint,
  -- number of the last event; -1: none was ever written
  version bigint not null default -1,
  -- events below are hidden, and removed by hv_scavenge
  truncate_before bigint not null default 0,
  -- both above 0, or null for no bound
  max_count bigint,
  max_age_ms bigint,
  -- null, 'soft' (an append revives the stream, numbers go on) or 'hard' (for good)
  deleted text,
  primary key (id),
  unique (name)
) with (fillfactor = 60);

create index hv_streams_category on :"schema".hv_streams (category, id) where category is not null;

-- The events, immutable. Their time is in their id.
create table :"schema".hv_events (
  id bigint not null default :"schema".next_id(),
  stream bigint not null,
  -- that of the stream, for the pass
  category bigint,
  number bigint not null,
  -- the caller's event id: an append is idempotent by it, within a stream
  uuid uuid not null,
  -- the top-level transaction that wrote the row (not the row's own xmin: savepoints have xids of their own)
  xid xid8 not null default pg_current_xact_id(),
  type text not null,
  -- the body as JSON text, kept as written; or as bytes; or neither
  body json,
  bytes bytea,
  metadata json,
  primary key (id),
  unique (stream, number),
  -- in this order, so that ids that grow with time go to its end: 3 of 32 us of an event less than (stream, uuid)
  unique (uuid, stream)
);

create index hv_events_xid on :"schema".hv_events (xid);

-- The order of all events of the shard, one narrow row each, written by the sequencing pass alone.
create table :"schema".hv_all (
  pos bigint not null,
  event bigint not null,
  stream bigint not null,
  category bigint,
  primary key (pos),
  unique (event)
);

create index hv_all_category on :"schema".hv_all (category, pos) where category is not null;

-- How far the sequencing pass has come: one row.
create table :"schema".hv_sequencer (
  shard integer not null,
  -- the last position given
  head bigint not null default 0,
  -- what the last complete pick could see: only rows it could not see may lack a position
  snapshot pg_snapshot not null default '1:1:',
  -- the cluster whose transaction ids the snapshot speaks of
  system bigint not null default 0,
  -- an event that has a position, and might be picked again all the same, has an id up to here: it was there when the
  -- shard came to this cluster, or was given by a pass that left something behind
  placed_upto bigint not null default 0,
  -- somebody follows the end of the shard: those who follow put it forward, twice a minute at most
  watched_until timestamptz not null default '-infinity',
  primary key (shard)
) with (fillfactor = 10);

insert into :"schema".hv_sequencer (shard) values (:'shard'::integer);

-- for hv_scavenge: the streams that may have something to remove
create index hv_streams_retention on :"schema".hv_streams (id)
  where truncate_before > 0 or max_count is not null or max_age_ms is not null;
