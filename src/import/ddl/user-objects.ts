import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';

export interface SavedView {
  readonly schema: string;
  readonly name: string;
  readonly materialized: boolean;
  readonly definition: string;
  readonly owner: string;
  readonly options: string | null;
  readonly comment: string | null;
  readonly grants: readonly string[];
  /** Definitions of a materialized view's indexes. */
  readonly indexes: readonly string[];
}

/** Finds the views that stand on tables, those on views included, in an order in which they can be made again. */
export async function saveViews(
  client: Client,
  tables: readonly { readonly schema: string; readonly name: string }[],
): Promise<SavedView[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `with recursive dependent (oid, depth) as (
       select c.oid, 0
         from unnest($1::text[], $2::text[]) as wanted (schema_name, table_name)
         join pg_namespace n on n.nspname = wanted.schema_name
         join pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name
       union
       select r.ev_class, d.depth + 1
         from dependent d
         join pg_depend p on p.refclassid = 'pg_class'::regclass and p.refobjid = d.oid
          and p.classid = 'pg_rewrite'::regclass
         join pg_rewrite r on r.oid = p.objid and r.ev_class <> d.oid
        where d.depth < 100
     )
     select n.nspname as schema, c.relname as name, c.relkind = 'm' as materialized,
            pg_get_viewdef(c.oid) as definition, pg_get_userbyid(c.relowner) as owner,
            array_to_string(c.reloptions, ', ') as options, obj_description(c.oid, 'pg_class') as comment,
            array(
              select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = c.oid
            ) as indexes
       from (select oid, max(depth) as depth from dependent where depth > 0 group by oid) v
       join pg_class c on c.oid = v.oid and c.relkind in ('v', 'm')
       join pg_namespace n on n.oid = c.relnamespace
      order by v.depth, n.nspname, c.relname`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  const views: SavedView[] = [];
  for (const row of rows) {
    const view = row as unknown as Omit<SavedView, 'grants'>;
    views.push({ ...view, grants: await saveGrants(client, view.schema, view.name) });
  }
  return views;
}

/** The grants on a table or view, but for its owner's. */
export async function saveGrants(client: Client, schema: string, name: string): Promise<string[]> {
  const { rows } = await client.query<{ privilege: string; grantee: string | null; grantable: boolean }>(
    `select a.privilege_type as privilege, case when a.grantee = 0 then null else pg_get_userbyid(a.grantee) end as grantee,
            a.is_grantable as grantable
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      cross join aclexplode(c.relacl) a
      where n.nspname = $1
        and c.relname = $2
        and a.grantee <> c.relowner`,
    [schema, name],
  );
  return rows.map(
    ({ privilege, grantee, grantable }) =>
      `grant ${privilege} on ${qualify(schema, name)} to ${grantee === null ? 'public' : quoteIdentifier(grantee)}${grantable ? ' with grant option' : ''}`,
  );
}

export async function dropViews(client: Client, views: readonly SavedView[]): Promise<void> {
  for (const { schema, name, materialized } of [...views].reverse()) {
    await client.query(`drop ${materialized ? 'materialized view' : 'view'} if exists ${qualify(schema, name)}`);
  }
}

/**
 * Makes the views again. One that no longer fits its tables is left out – and with it those on top of it – and
 * returned with the reason, so that its definition can be kept.
 */
export async function restoreViews(
  client: Client,
  views: readonly SavedView[],
): Promise<{ view: SavedView; reason: string }[]> {
  const lost: { view: SavedView; reason: string }[] = [];
  for (const view of views) {
    await client.query('savepoint hv_view');
    try {
      for (const statement of viewStatements(view)) await client.query(statement);
      await client.query('release savepoint hv_view');
    } catch (error) {
      await client.query('rollback to savepoint hv_view');
      lost.push({ view, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return lost;
}

function viewStatements(view: SavedView): string[] {
  const kind = view.materialized ? 'materialized view' : 'view';
  const place = qualify(view.schema, view.name);
  const options = view.options === null || view.options === '' ? '' : ` with (${view.options})`;
  const statements = [
    `create ${kind} ${place}${options} as ${view.definition}`,
    `alter ${kind} ${place} owner to ${quoteIdentifier(view.owner)}`,
    ...view.indexes,
    ...view.grants,
  ];
  if (view.comment !== null) statements.push(`comment on ${kind} ${place} is '${view.comment.replaceAll("'", "''")}'`);
  return statements;
}
