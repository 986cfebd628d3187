-- Fixes the slots of routing keys once; asked again with the same values it does nothing, with others it raises SV005.
-- Lock: the one row of hypervault.settings.
create or replace function hypervault.fix_routing(slots integer, first_shard integer)
returns void
language plpgsql
as $$
declare
  _fixed hypervault.settings;
begin
  select settings.*
  into strict _fixed
  from hypervault.settings
  for update;
  if _fixed.slots is null then
    update hypervault.settings
    set slots = fix_routing.slots, first_shard = fix_routing.first_shard;
  elsif _fixed.slots is distinct from fix_routing.slots
    or _fixed.first_shard is distinct from fix_routing.first_shard
  then
    raise exception using
      errcode = 'SV005',
      message = format('slots and first shard are fixed at %s and %s', _fixed.slots, _fixed.first_shard),
      detail = json_build_object('slots', _fixed.slots, 'firstShard', _fixed.first_shard)::text;
  end if;
end
$$;
