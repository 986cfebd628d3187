-- The ledger of the user's own migrations in this shard. Made with the shard, so that the first migration of hundreds of
-- shards need not make it; the runner makes it too where it is missing. Takes no lock that others notice.
create table if not exists :"schema".hv_migrations (
  like :"schema".hv_ledger including all
);
