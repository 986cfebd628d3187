-- The journal of moves: which shard goes where, how far it has come, and what it has made, so that whoever finds a dead
-- move can finish it or undo it. A row says what the mover meant to do and has done; what is true of the shard itself is
-- read from the shard: its fence and its owner rows. Takes no lock.
create table hypervault.moves (
  id bigint primary key generated always as identity,
  -- Slots and subscriptions carry it in their names: one server may serve several installations.
  token text not null
    default left(md5(gen_random_uuid()::text), 8),
  shard integer not null
    check (shard between 0 and 8191),
  source text not null,
  target text not null
    check (target <> source),
  -- moving: before the flip, or in it. moved: the target owns the shard, the way back is kept. reverting: on the way back.
  state text not null default 'moving'
    check (state in ('moving', 'moved', 'reverting', 'finished', 'reverted', 'aborted')),
  -- The step that was begun last.
  step text not null default 'preflight',
  -- Of the fence, once it was tried.
  epoch bigint,
  -- What was found or made: tables, sequences, grants, indexes still to be built.
  objects jsonb not null default '{}',
  -- The last marker written behind the writers.
  marker bigint not null default 0,
  error text,
  author text not null default current_user,
  started timestamptz not null default clock_timestamp(),
  heartbeat timestamptz not null default clock_timestamp(),
  ended timestamptz
);

-- A shard goes to one place at a time; one with a way back is still on its way.
create unique index moves_open on hypervault.moves (shard)
where state in ('moving', 'moved', 'reverting');

-- Each step's intent and outcome, in the order they came.
create table hypervault.move_steps (
  id bigint primary key generated always as identity,
  move bigint not null
    references hypervault.moves,
  step text not null,
  began timestamptz not null default clock_timestamp(),
  -- Null: begun, and nobody knows how it ended.
  done timestamptz,
  detail jsonb
);

create index move_steps_move on hypervault.move_steps (move, id);
