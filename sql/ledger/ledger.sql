-- The ledger of a schema: one row for each file that was run in it, written in the same transaction as what the
-- file makes, and before it, so that of two installers one waits for the other at the key.
-- `package` is the version of pg-hypervault that ran the file; `source` is kept for users' own migrations, so that
-- a shard's structure can be made again on another server without the files at hand.
create table if not exists :"schema".:"ledger" (
  module text not null,
  scope text not null,
  kind text not null,
  name text not null,
  hash text not null,
  release integer not null,
  package text,
  source text,
  applied timestamptz not null default clock_timestamp(),
  primary key (module, scope, kind, name),
  -- One constraint and not three: a ledger is made for each of hundreds of shards, and each constraint takes its time.
  check (
    kind in ('migration', 'function', 'view')
    and hash ~ '^[0-9a-f]{64}$'
    and release > 0
  )
);
