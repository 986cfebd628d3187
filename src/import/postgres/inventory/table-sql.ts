/** What tables ($1, by oid) have that does not come along: `oid`, `kind` and `name`, a row each. */
export const TABLE_INVENTORY_SQL = `
with tables as (
  select c.*, c.oid::regclass::text as place from pg_class c where c.oid = any($1::oid[])
)
select oid::int8 as oid, kind, name from (
select t.oid, 'policy', format('%I', p.polname) from tables t join pg_policy p on p.polrelid = t.oid
union all
select t.oid, 'row-level security', case when t.relforcerowsecurity then 'forced' else 'enabled' end from tables t where t.relrowsecurity
union all
select t.oid, 'trigger', format('%I', g.tgname) from tables t join pg_trigger g on g.tgrelid = t.oid where not g.tgisinternal
union all
select t.oid, 'rule', format('%I', r.rulename) from tables t join pg_rewrite r on r.ev_class = t.oid
union all
select t.oid, 'statistics object', format('%I', s.stxname) from tables t join pg_statistic_ext s on s.stxrelid = t.oid
union all
select distinct t.oid, 'grant', format('%s to %s', lower(a.privilege_type), case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end)
  from tables t cross join aclexplode(t.relacl) a
 where a.grantee <> t.relowner
union all
select distinct t.oid, 'grant', format('%s (%I) to %s', lower(a.privilege_type), c.attname, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end)
  from tables t join pg_attribute c on c.attrelid = t.oid cross join aclexplode(c.attacl) a
 where a.grantee <> t.relowner
union all
select t.oid, 'owner', pg_get_userbyid(t.relowner) from tables t where t.relowner <> (select r.oid from pg_roles r where r.rolname = current_user)
union all
select t.oid, 'replica identity', case t.relreplident when 'f' then 'full' when 'n' then 'nothing' else 'an index' end
  from tables t where t.relreplident <> 'd'
union all
select t.oid, 'parent', i.inhparent::regclass::text from tables t join pg_inherits i on i.inhrelid = t.oid
union all
select t.oid, 'heir', i.inhrelid::regclass::text from tables t join pg_inherits i on i.inhparent = t.oid where t.relkind = 'r'
union all
select t.oid, 'storage parameter', unnest(t.reloptions) from tables t
union all
select t.oid, 'tablespace', s.spcname from tables t join pg_tablespace s on s.oid = t.reltablespace
union all
select t.oid, 'column setting', format('%I %s', a.attname, setting.text)
  from tables t
  join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  join pg_type y on y.oid = a.atttypid
 cross join lateral (
   select 'storage ' || case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end as text
    where a.attstorage <> y.typstorage
   union all
   select 'compression ' || case to_jsonb(a) ->> 'attcompression' when 'l' then 'lz4' else 'pglz' end where coalesce(to_jsonb(a) ->> 'attcompression', '') not in ('', '0', ' ') and ascii(to_jsonb(a) ->> 'attcompression') > 0
   union all
   select 'statistics ' || (to_jsonb(a) ->> 'attstattarget') where coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) >= 0
   union all
   select unnest(a.attoptions)
 ) setting
union all
select t.oid, 'numbering', format('%I: generated always becomes by default', a.attname)
  from tables t join pg_attribute a on a.attrelid = t.oid
 where a.attidentity = 'a'
union all
select t.oid, 'numbering', format('%s: its own steps and bounds', q.seqrelid::regclass)
  from tables t
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
  join pg_sequence q on q.seqrelid = d.objid
 where q.seqincrement <> 1 or q.seqcycle or q.seqmin <> 1 or q.seqcache <> 1
union all
select t.oid, 'constraint', format('%I (%s)', o.conname, lack.what)
  from tables t
  join pg_constraint o on o.conrelid = t.oid
 cross join lateral (
   select 'match full' as what where o.contype = 'f' and o.confmatchtype = 'f'
   union all
   select 'sets only some columns' where o.contype = 'f' and coalesce(to_jsonb(o) ->> 'confdelsetcols', '') <> ''
   union all
   select 'over periods' where o.contype in ('f', 'p') and (to_jsonb(o) ->> 'conperiod')::boolean
   union all
   select 'not enforced' where not (to_jsonb(o) ->> 'conenforced')::boolean
   union all
   select 'deferrable' where o.contype = 'p' and o.condeferrable
   union all
   select 'no inherit' where o.contype = 'c' and o.connoinherit
   union all
   select 'named otherwise' where o.contype = 'p' and o.conname <> t.relname || '_pkey'
   union all
   select 'includes further columns'
     from pg_index i where o.contype = 'p' and i.indexrelid = o.conindid and i.indnatts > i.indnkeyatts
 ) lack
union all
select t.oid, 'comment', format('on %s %I', d.what, d.name)
  from tables t
 cross join lateral (
   select 'constraint' as what, o.conname as name from pg_constraint o where o.conrelid = t.oid and obj_description(o.oid, 'pg_constraint') is not null
   union all
   select 'index', c.relname from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = t.oid and obj_description(c.oid, 'pg_class') is not null
 ) d
union all
select t.oid, 'security label', provider from tables t join pg_seclabel l on l.classoid = 'pg_class'::regclass and l.objoid = t.oid
union all
select t.oid, 'column collation', format('%I %I.%I', a.attname, n.nspname, l.collname)
  from tables t
  join pg_attribute a on a.attrelid = t.oid and not a.attisdropped
  join pg_collation l on l.oid = a.attcollation
  join pg_namespace n on n.oid = l.collnamespace
 where n.nspname <> 'pg_catalog'
union all
select t.oid, 'index', format('%I (%s)', c.relname, lack.what)
  from tables t
  join pg_index i on i.indrelid = t.oid
  join pg_class c on c.oid = i.indexrelid
 cross join lateral (
   select 'not valid' as what where not i.indisvalid
   union all
   select 'clustered by' where i.indisclustered
   union all
   select 'operator class ' || string_agg(distinct format('%I.%I', n.nspname, o.opcname), ', ')
     from pg_opclass o join pg_namespace n on n.oid = o.opcnamespace
    where o.oid = any(i.indclass::oid[]) and n.nspname <> 'pg_catalog'
   having count(*) > 0
 ) lack
) as found (oid, kind, name)
 order by oid, kind, name`;

/** Tables ($1) that the role cannot read whole, or not publish. */
export const HIDDEN_ROWS_SQL = `
select c.oid::int8 as oid, row_security_active(c.oid) as hidden, has_table_privilege(c.oid, 'select') as readable,
       pg_has_role(c.relowner, 'usage') as owned
  from pg_class c
 where c.oid = any($1::oid[])`;
