-- Prepares a shard made by the original tool, or by hand in that way, for our next_id(); nothing in a new shard.
-- The old function took `nextval % 1024` and a clock reading, so the sequence held a small count and old ids may lie
-- anywhere up to the clock. This waits for every writer whose ids come from the old function, then sets the sequence
-- past the highest id stored and one second past the clock, so that an old call still under way can't meet a new one.
-- No row is rewritten.
-- Locks: all tables whose default is the old function, SHARE ROW EXCLUSIVE, to the end of the transaction; waits 5 s at
-- most, since writers queue up behind it. The sequence, until the same end.
-- Raises SV001 when stored ids are ahead of the clock, SV003.
create or replace function hypervault.take_over_ids(schema text, shard integer)
returns void
language plpgsql
as $$
declare
  _sequence regclass := format('%I.table_id_seq', take_over_ids.schema)::regclass;
  _old regprocedure := to_regprocedure(format('%I.next_id()', take_over_ids.schema));
  _owner name;
  _tables text;
  _column record;
  _highest bigint;
  _now bigint;
  _position bigint := 0;
begin
  if take_over_ids.shard is null or take_over_ids.shard not between 0 and 8191 then
    raise exception using
      errcode = 'SV003',
      message = format('shard %s is outside 0 to 8191', coalesce(take_over_ids.shard::text, 'null'));
  end if;
  -- The definer of next_id_behind sets the sequence, also when another role made the shard.
  select pg_get_userbyid(proowner)
  into strict _owner
  from pg_catalog.pg_proc
  where oid = 'hypervault.next_id_behind(regclass,integer)'::regprocedure;
  if _owner <> current_user then
    execute format('grant usage, select, update on sequence %s to %I', _sequence, _owner);
  end if;
  if _old is null then
    return;
  end if;

  perform set_config('lock_timeout', '5s', true);
  select string_agg(distinct attrdef.adrelid::regclass::text, ', ')
  into _tables
  from pg_catalog.pg_depend as depend
  join pg_catalog.pg_attrdef as attrdef on attrdef.oid = depend.objid
  where depend.classid = 'pg_catalog.pg_attrdef'::regclass
    and depend.refclassid = 'pg_catalog.pg_proc'::regclass
    and depend.refobjid = _old;
  if _tables is not null then
    execute format('lock table %s in share row exclusive mode', _tables);
  end if;
  -- What an old sequence may lack; also keeps nextval waiting until the new function is there.
  execute format('alter sequence %s as bigint increment 1 minvalue 1 no maxvalue cache 1 no cycle', _sequence);

  _now := hypervault.clock_ms();
  for _column in
    select attrdef.adrelid::regclass as "table", attribute.attname as "name"
    from pg_catalog.pg_depend as depend
    join pg_catalog.pg_attrdef as attrdef on attrdef.oid = depend.objid
    join pg_catalog.pg_attribute as attribute
      on attribute.attrelid = attrdef.adrelid
      and attribute.attnum = attrdef.adnum
    where depend.classid = 'pg_catalog.pg_attrdef'::regclass
      and depend.refclassid = 'pg_catalog.pg_proc'::regclass
      and depend.refobjid = _old
  loop
    execute format(
      'select max(%1$I) from %2$s where %1$I >> 10 & 8191 = $1',
      _column.name,
      _column.table
    )
    into _highest
    using take_over_ids.shard;
    if _highest >> 23 > _now + 4000 then
      raise exception using
        errcode = 'SV001',
        message = format('the clock of this server is %s ms behind the ids of %s', (_highest >> 23) - _now, _column.table),
        detail = json_build_object('behindMs', ((_highest >> 23) - _now)::text)::text,
        hint = 'Set the clock right first: new ids would repeat old ones.';
    end if;
    _position := greatest(_position, ((_highest >> 23) + 1) << 10);
  end loop;
  _position := greatest(_position, (_now + 1000) << 10, pg_sequence_last_value(_sequence) + 1);
  perform setval(_sequence, _position);
end
$$;
