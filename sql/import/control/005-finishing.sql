-- `finishing`: the last changes are brought to the source, and the way back is being taken away. A run that was cut off there
-- has no way back to ask any more, and only takes away the rest.
alter table :"schema".import_source
  drop constraint if exists import_source_direction_check;

alter table :"schema".import_source
  add constraint import_source_direction_check
    check (direction in ('forward', 'switching', 'reverse', 'returning', 'finishing'));
