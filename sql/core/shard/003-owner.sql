-- Which server this shard belongs to: the truth that the shard map is a cache of. `server` is null until the
-- configuration gives the server a name; `epoch` is the one of the map that made it the owner.
-- Takes no lock that others notice.
create table :"schema".hv_owner (
  only_row boolean primary key default true
    check (only_row),
  server text
    check (server <> ''),
  epoch bigint not null default 0
    check (epoch >= 0),
  since timestamptz not null default clock_timestamp()
);

insert into :"schema".hv_owner (server)
values (nullif(:'server', ''));
