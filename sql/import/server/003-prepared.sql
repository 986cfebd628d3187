-- XA transactions of the source that are prepared: what they changed, as the log had it, until the source says whether it
-- stays. Written with the position, which may so pass them.
create table if not exists :"schema".import_prepared (
  source uuid not null,
  -- x'gtrid',x'bqual',formatID
  xid text not null,
  held bytea not null,
  prepared timestamptz not null default clock_timestamp(),
  primary key (source, xid)
);
