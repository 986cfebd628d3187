-- Which way the rows of a source flow. `switching` and `returning` are on the way from one to the other: a command that
-- was cut off there is run again and goes on.
alter table :"schema".import_source
  add column if not exists direction text not null default 'forward'
    check (direction in ('forward', 'switching', 'reverse', 'returning'));
