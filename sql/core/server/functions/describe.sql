-- What a program checks when it first talks to a server: the fixed settings, and for each module and scope the release
-- and the number of its schema: {"core":{"server":{"release":1,"version":2}}}. Takes no lock.
create or replace function hypervault.describe(
  out epoch bigint,
  out slots integer,
  out first_shard integer,
  out prefix text,
  out modules jsonb
)
language sql
stable
as $$
  select
    settings.epoch,
    settings.slots,
    settings.first_shard,
    settings.prefix,
    (
      select jsonb_object_agg(per_module.module, per_module.scopes)
      from (
        select per_scope.module, jsonb_object_agg(per_scope.scope, per_scope.state) as scopes
        from (
          select
            ledger.module,
            ledger.scope,
            jsonb_build_object(
              'release', max(ledger.release),
              'version', max(substring(ledger.name from '^\d+')::integer)
            ) as state
          from hypervault.ledger
          where ledger.kind = 'migration'
          group by ledger.module, ledger.scope
        ) as per_scope
        group by per_scope.module
      ) as per_module
    )
  from hypervault.settings
$$;
