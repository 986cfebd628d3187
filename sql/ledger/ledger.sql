-- The ledger of a schema: one row for each file that was run in it, written in the same transaction as what the
-- file makes, and before it, so that of two installers one waits for the other at the key.
-- `package` is the version of pg-hypervault that ran the file; `source` is kept for users' own migrations, so that
-- a shard's structure can be made again on another server without the files at hand.
create table if not exists :"schema".:"ledger" (
  module text not null,
  scope text not null,
  kind text not null
    check (kind in ('migration', 'function', 'view')),
  name text not null,
  hash text not null
    check (hash ~ '^[0-9a-f]{64}$'),
  release integer not null
    check (release > 0),
  package text,
  source text,
  applied timestamptz not null default clock_timestamp(),
  primary key (module, scope, kind, name)
);
