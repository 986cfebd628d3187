-- Decisions of atomic writes over several shards, in the shard that coordinates each. A row is written by the coordinator's
-- transaction before any other shard's is prepared, and seen when that has committed: from then on the write is done,
-- whoever finishes it. A row that is not there, and that nobody is about to commit, means that it is not done and never will
-- be. Removed when every shard has it. Moves with the shard. Takes no lock.
create table :"schema".hv_decision (
  id uuid primary key,
  shards integer[] not null,
  made timestamptz not null default clock_timestamp()
);
