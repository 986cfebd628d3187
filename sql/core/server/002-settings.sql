-- What is fixed when a server is installed: ids and routing rest on it, so it can't change afterwards.
-- Takes no lock that others notice.
create table hypervault.settings (
  only_row boolean primary key default true
    check (only_row),
  -- Ids count milliseconds from here, in ms since 1970.
  epoch bigint not null
    check (epoch between 0 and 4398046511104),
  -- Routing keys are hashed to this many slots; slot n lives in shard first_shard + n. Null until they are fixed.
  slots integer
    check (slots between 1 and 8192),
  first_shard integer
    check (first_shard between 0 and 8191),
  -- The schema of shard 5 is the prefix and 0005.
  prefix text not null
    check (prefix ~ '^[a-z_][a-z0-9_]{0,50}$'),
  installed timestamptz not null default clock_timestamp(),
  check ((slots is null) = (first_shard is null)),
  check (first_shard + slots <= 8192)
);

insert into hypervault.settings (epoch, slots, first_shard, prefix)
values (
  :'epoch'::bigint,
  nullif(:'slots', '')::integer,
  nullif(:'first_shard', '')::integer,
  :'prefix'
);

-- The epoch as a constant that the planner folds in: the id generator reads no table.
create function hypervault.epoch_ms()
returns bigint
language sql
immutable
parallel safe
return :'epoch'::bigint;
