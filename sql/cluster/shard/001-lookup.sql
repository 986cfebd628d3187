-- Unique values of rows that live in other shards, e.g. an e-mail address and the key of its user. A row is in the shard
-- that the hash of its value names, is written before the row it points to and removed after it: one that points to
-- nothing is an orphan, which readers see through and a repair takes away. Takes no lock.
create table :"schema".hv_lookup (
  name text collate "C" not null,
  value text collate "C" not null,
  key bigint not null,
  made timestamptz not null default clock_timestamp(),
  primary key (name, value)
);
