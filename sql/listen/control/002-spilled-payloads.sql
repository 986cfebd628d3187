-- Payloads that are too large for NOTIFY (8,000 bytes and more); the notification carries their id.
-- Nobody can know when the last listener has read one, so they go by age.
create table :"schema".spilled_payloads (
  id bigint generated always as identity primary key,
  channel text not null,
  payload text not null,
  created timestamptz not null default clock_timestamp()
);

create index spilled_payloads_created
  on :"schema".spilled_payloads (created);
