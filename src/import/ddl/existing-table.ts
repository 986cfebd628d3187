import type { ClientBase } from 'pg';

/** A column of a table that is there already. */
export interface ExistingColumn {
  readonly name: string;
  /** `character varying(20)`, `numeric(10,2)`, `mood`. */
  readonly type: string;
  /** Labels of an enum type, else `null`. */
  readonly labels: readonly string[] | null;
  readonly notNull: boolean;
  /** Whether a row can be made without a value for it. */
  readonly hasDefault: boolean;
  readonly generated: boolean;
  /** Numbered by a sequence. */
  readonly numbered: boolean;
}

/** The columns of a table in Postgres; `null` when it is not there. */
export async function readExistingColumns(
  client: ClientBase,
  schema: string,
  name: string,
): Promise<ExistingColumn[] | null> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as not_null,
            a.atthasdef or a.attidentity <> '' as has_default, a.attgenerated <> '' as generated,
            pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) is not null as numbered,
            case when t.typtype = 'e'
                 then (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
            end as labels
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       join pg_type t on t.oid = a.atttypid
      where n.nspname = $1
        and c.relname = $2
        and c.relkind in ('r', 'p')
      order by a.attnum`,
    [schema, name],
  );
  if (rows.length === 0) return null;
  return rows.map((row) => ({
    name: row.name as string,
    type: row.type as string,
    labels: row.labels as string[] | null,
    notNull: row.not_null as boolean,
    hasDefault: row.has_default as boolean,
    generated: row.generated as boolean,
    numbered: row.numbered as boolean,
  }));
}
