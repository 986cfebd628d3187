-- Drops a copy of a shard that is not the shard: its own owner row must name another server, or none. Raises SV004 when
-- it names this one. Lock: ACCESS EXCLUSIVE on everything in it.
create or replace function hypervault.move_drop_schema(schema text, server text)
returns void
language plpgsql
as $$
declare
  _owner text;
  _epoch bigint;
begin
  if to_regclass(format('%I.hv_owner', move_drop_schema.schema)) is not null then
    execute format('select owner.server, owner.epoch from %I.hv_owner as owner', move_drop_schema.schema)
    into _owner, _epoch;
    if _owner = move_drop_schema.server then
      raise exception using
        errcode = 'SV004',
        message = format('%I is the shard itself, owned by %s: it is not dropped', move_drop_schema.schema, _owner),
        detail = json_build_object('epoch', _epoch::text, 'server', _owner)::text;
    end if;
  end if;
  execute format('drop schema if exists %I cascade', move_drop_schema.schema);
end
$$;
