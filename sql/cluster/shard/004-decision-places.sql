-- Where each part of an atomic write was begun: {"30": {"server": "b", "timeline": 1}}. A server that was promoted since has
-- another timeline: a part that is not prepared there any more may have been lost with what its standby had not got.
-- Lock: ACCESS EXCLUSIVE on hv_decision, for a moment.
alter table :"schema".hv_decision add column places jsonb not null default '{}';
