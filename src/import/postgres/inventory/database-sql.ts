/** Not a part of an extension: that comes, or is missing, as a whole. */
function own(catalogue: string, oid: string): string {
  return `not exists (select from pg_depend e where e.classid = '${catalogue}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;
}

/** Objects of one kind in the schemas ($1). */
function inSchemas(
  kind: string,
  catalogue: string,
  alias: string,
  namespace: string,
  name: string,
  which = '',
): string {
  return `
select '${kind}', format('%I.', n.nspname) || ${name}
  from ${catalogue} ${alias} join pg_namespace n on n.oid = ${alias}.${namespace}
 where n.nspname = any($1) and ${own(catalogue, `${alias}.oid`)}${which === '' ? '' : ` and ${which}`}`;
}

function relations(kind: string, which: string): string {
  return inSchemas(kind, 'pg_class', 'c', 'relnamespace', `format('%I', c.relname)`, which);
}

/**
 * Everything of a database, and of some of its schemas ($1), that is not brought along with tables: `kind` and `name`,
 * a row each. Our own publication ($2) is not counted.
 */
export const DATABASE_INVENTORY_SQL = `
select * from (
select 'view' as kind, null as name where false
union all${relations('view', `c.relkind = 'v'`)}
union all${relations('materialized view', `c.relkind = 'm'`)}
union all${relations('foreign table', `c.relkind = 'f'`)}
union all${relations(
  'sequence',
  `c.relkind = 'S' and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))`,
)}
union all${inSchemas(
  'function',
  'pg_proc',
  'p',
  'pronamespace',
  `format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))`,
)}
union all${inSchemas(
  'type',
  'pg_type',
  't',
  'typnamespace',
  `format('%I', t.typname)`,
  `(t.typtype in ('b', 'd', 'e', 'r') and t.typcategory <> 'A' or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
   and not exists (
     select from pg_depend d
      where d.refclassid = 'pg_type'::regclass
        and d.refobjid in (t.oid, t.typarray)
        and (d.classid = 'pg_class'::regclass and d.objid <> t.typrelid and d.deptype = 'n'
             or d.classid = 'pg_type'::regclass and d.deptype = 'n'))`,
)}
union all${inSchemas('collation', 'pg_collation', 'l', 'collnamespace', `format('%I', l.collname)`)}
union all${inSchemas('operator', 'pg_operator', 'o', 'oprnamespace', `format('%s (%s, %s)', o.oprname, format_type(o.oprleft, null), format_type(o.oprright, null))`)}
union all${inSchemas('operator class', 'pg_opclass', 'o', 'opcnamespace', `format('%I', o.opcname)`)}
union all${inSchemas('conversion', 'pg_conversion', 'o', 'connamespace', `format('%I', o.conname)`)}
union all${inSchemas('text search configuration', 'pg_ts_config', 's', 'cfgnamespace', `format('%I', s.cfgname)`)}
union all${inSchemas('text search dictionary', 'pg_ts_dict', 's', 'dictnamespace', `format('%I', s.dictname)`)}
union all
select 'cast', format('%s as %s', format_type(castsource, null), format_type(casttarget, null))
  from pg_cast x
 where x.oid >= 16384 and ${own('pg_cast', 'x.oid')}
union all
select 'extension', x.extname
  from pg_extension x
 where x.extname <> 'plpgsql'
   and not exists (
     select from pg_depend d
       join pg_type t on t.oid = d.objid
       join pg_attribute a on a.atttypid in (t.oid, t.typarray)
       join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
       join pg_namespace n on n.oid = c.relnamespace
      where d.refclassid = 'pg_extension'::regclass and d.refobjid = x.oid
        and d.classid = 'pg_type'::regclass and d.deptype = 'e' and n.nspname = any($1))
union all
select 'publication', pubname from pg_publication where pubname <> $2
union all
select 'subscription', subname from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())
union all
select 'event trigger', x.evtname from pg_event_trigger x where ${own('pg_event_trigger', 'x.oid')}
union all
select 'foreign server', x.srvname from pg_foreign_server x where ${own('pg_foreign_server', 'x.oid')}
union all
select 'foreign data wrapper', x.fdwname from pg_foreign_data_wrapper x where ${own('pg_foreign_data_wrapper', 'x.oid')}
union all
select 'language', x.lanname from pg_language x where x.oid >= 16384 and ${own('pg_language', 'x.oid')}
union all
select 'setting of the database', unnest(setconfig)
  from pg_db_role_setting
 where setdatabase = (select oid from pg_database where datname = current_database())
union all
select 'default privilege', format('of %I%s', pg_get_userbyid(x.defaclrole), ' in ' || n.nspname)
  from pg_default_acl x left join pg_namespace n on n.oid = x.defaclnamespace
 where x.defaclnamespace = 0 or n.nspname = any($1)
union all
select 'schema with tables of its own', n.nspname
  from pg_namespace n
 where n.nspname <> all($1) and n.nspname !~ '^(pg_|information_schema$|hypervault$)' and ${own('pg_namespace', 'n.oid')}
   and exists (select from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p') and ${own('pg_class', 'c.oid')})
) as found (kind, name)
 order by kind, name`;
