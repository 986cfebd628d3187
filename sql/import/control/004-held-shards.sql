-- The shards that a source's rows go into. They stay where they are as long as the source is registered: its place in the
-- log is kept by server, and a shard that went to another one would miss changes there, or get them twice. Null: none yet.
alter table :"schema".import_source
  add column if not exists held_shards integer[];
