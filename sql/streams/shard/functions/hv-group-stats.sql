-- What each group is doing, for people and dashboards. Reads only.
-- settled_to: everything up to there is settled; ended_at: the present end of the source; lag: positions between.
create or replace function :"schema".hv_group_stats(group_id bigint default null)
returns table (
  id bigint,
  name text,
  source text,
  strategy text,
  slices integer,
  settled_to bigint,
  ended_at bigint,
  lag bigint,
  settled bigint,
  retrying bigint,
  parked bigint,
  consumers jsonb
)
language plpgsql
stable
set search_path = :"schema", pg_temp
as $$
begin
  return query
  select
    g.id,
    g.name,
    g.source,
    g.strategy,
    g.slices,
    p.settled_to,
    n.ended_at,
    greatest(0, n.ended_at - p.settled_to),
    g.settled + coalesce(c.settled, 0)::bigint,
    (select count(*) from hv_retries r where r.group_id = g.id),
    (select count(*) from hv_parked k where k.group_id = g.id),
    coalesce(c.consumers, '[]')
  from hv_groups g
  cross join lateral (
    select coalesce(min(l.position), g.cut) as settled_to
    from hv_slices l
    where l.group_id = g.id
      and (l.upto is null or l.position < l.upto)
  ) p
  cross join lateral (
    select case
      when g.source = '$all' then (select q.head from hv_sequencer q)
      when right(g.source, 2) = '-*' then coalesce(
        (select max(a.pos) from hv_all a where a.category = hashtextextended(left(g.source, -2), 0)),
        0
      )
      else coalesce((select s.version from hv_streams s where s.name = g.source), -1)
    end as ended_at
  ) n
  cross join lateral (
    select
      sum(m.settled) as settled,
      jsonb_agg(
        jsonb_build_object(
          'consumer', m.consumer,
          'label', m.label,
          'joinedAt', m.joined_at,
          'settled', m.settled::text,
          'slices', (select count(*) from hv_slices l where l.group_id = g.id and l.owner = m.consumer)
        )
        order by m.joined_at
      ) as consumers
    from hv_consumers m
    where m.group_id = g.id
      and m.expires_at > clock_timestamp()
  ) c
  where hv_group_stats.group_id is null
    or g.id = hv_group_stats.group_id
  order by g.name, g.source;
end
$$;
