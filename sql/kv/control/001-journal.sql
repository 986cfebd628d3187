-- Versioned keys and values: every commit, what is published of them, and one counter for each namespace.
-- Written only by the kv functions.

-- The counter numbers all changes of a namespace. A writer holds the lock of its row until it commits, so revisions
-- become visible in their order: a reader that has seen N has missed nothing up to N. That lets one namespace be
-- written by one transaction at a time, which is right for settings; another namespace is another row.
create table :"schema".kv_namespaces (
  namespace text primary key
    check (namespace <> ''),
  revision bigint not null
    check (revision >= 0),
  -- What happened up to here may be gone in part; a watch can begin after it, not before.
  compacted_through bigint not null default 0,
  -- The timeline of the server when the counter last moved, see kv_next_revision.
  timeline integer not null
) with (fillfactor = 50);

-- The journal. A row without a payload is a tombstone; rows are never changed.
create table :"schema".kv_commits (
  namespace text not null,
  key text collate "C" not null
    check (key <> ''),
  version integer not null
    check (version > 0),
  revision bigint not null,
  payload bytea,
  author text not null,
  comment text not null,
  mtime timestamptz not null,
  primary key (namespace, key, version),
  unique (namespace, revision)
);

-- What is published: the newest commit of each key, without a payload when it was removed. Removed keys stay, so that
-- those who read what changed since a revision learn of it.
create table :"schema".kv_heads (
  namespace text not null,
  key text collate "C" not null
    check (key <> ''),
  version integer not null
    check (version > 0),
  revision bigint not null,
  payload bytea,
  author text not null,
  comment text not null,
  mtime timestamptz not null,
  primary key (namespace, key)
);

create unique index kv_heads_by_revision on :"schema".kv_heads (namespace, revision);
