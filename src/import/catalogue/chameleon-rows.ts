import type { ClientBase } from 'pg';

/** A source as pg_chameleon 2.0 has it in its catalogue `sch_chameleon`. */
export interface ChameleonSource {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  /** Whether its tables are consistent with each other. */
  readonly consistent: boolean;
  /** Origin schema → target schema. */
  readonly mappings: Readonly<Record<string, string>>;
  /** Where it would read on; everything before is in its catalogue, and in its tables when nothing is pending. */
  readonly place: { readonly file: string; readonly offset: number } | null;
  /** Batches that are read and not wholly applied. */
  readonly pending: number;
  readonly tables: readonly ChameleonTable[];
}

export interface ChameleonTable {
  readonly schema: string;
  readonly name: string;
  /** Whether changes are still applied to it. */
  readonly enabled: boolean;
}

type Queryable = Pick<ClientBase, 'query'>;

/** The version of pg_chameleon's catalogue; `null` when there is none. */
export async function chameleonVersion(client: Queryable): Promise<string | null> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('sch_chameleon.v_version') is not null as there`,
  );
  if (!rows[0]!.there) return null;
  const version = await client.query<{ version: string }>('select t_version as version from sch_chameleon.v_version');
  return version.rows[0]?.version ?? null;
}

/** Reads its sources with their tables. */
export async function listChameleonSources(client: Queryable): Promise<ChameleonSource[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select s.i_id_source::text as id, s.t_source as name, s.enm_source_type::text as kind, s.enm_status::text as status,
            s.b_consistent as consistent, s.jsb_schema_mappings as mappings,
            next.t_binlog_name as file, next.i_binlog_position::text as "offset",
            (select count(*)::int
               from sch_chameleon.t_replica_batch b
              where b.i_id_source = s.i_id_source
                and b.b_processed
                and not b.b_replayed) as pending,
            coalesce((select jsonb_agg(jsonb_build_object('schema', t.v_schema_name, 'name', t.v_table_name, 'enabled', t.b_replica_enabled))
               from sch_chameleon.t_replica_tables t
              where t.i_id_source = s.i_id_source), '[]') as tables
       from sch_chameleon.t_sources s
       left join lateral (select b.t_binlog_name, b.i_binlog_position
                            from sch_chameleon.t_replica_batch b
                           where b.i_id_source = s.i_id_source
                             and not b.b_processed
                           order by b.ts_created desc
                           limit 1) next on true
      order by s.t_source`,
  );
  return rows.map((row) => ({
    id: row.id as string,
    name: row.name as string,
    kind: row.kind as string,
    status: row.status as string,
    consistent: row.consistent as boolean,
    mappings: row.mappings as Record<string, string>,
    place: row.file === null ? null : { file: row.file as string, offset: Number(row.offset) },
    pending: row.pending as number,
    tables: row.tables as ChameleonTable[],
  }));
}

/** Keeps pg_chameleon from starting a source that somebody else follows now: it refuses one in the state `error`. */
export async function retireChameleonSource(client: Queryable, { id }: ChameleonSource): Promise<void> {
  await client.query(`update sch_chameleon.t_sources set enm_status = 'error' where i_id_source = $1`, [id]);
}
