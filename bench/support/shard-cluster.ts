// A cluster of embedded servers with shards, tables in them by a migration, and the check that nothing acknowledged is lost.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type ShardMap, shardMapOf } from 'pg-hypervault';
import { initCluster, type MoveSetting, migrate } from 'pg-hypervault/cluster';
import type { Embedded } from 'pg-hypervault/embedded';
import { rounded } from './result.ts';
import type { ShardLoadReport } from './shard-load.ts';

export interface ShardCluster {
  readonly setting: MoveSetting;
  /** As it was at first. */
  readonly map: ShardMap;
  readonly connections: Readonly<Record<string, pg.ClientConfig & { host: string; port: number; password: string }>>;
  /** On one of the servers, or in the database `control`. */
  query(server: string, text: string): Promise<pg.QueryResult>;
}

/** Servers `db1`, `db2`, …, with these shards on them and the control database on the first. */
export async function makeCluster(
  { servers }: Embedded,
  shards: Readonly<Record<string, string>>,
): Promise<ShardCluster> {
  const connections = Object.fromEntries(servers.map(({ connection }, n) => [`db${n + 1}`, connection]));
  const control = { ...connections.db1!, database: 'control' };
  const query = async (server: string, text: string): Promise<pg.QueryResult> => {
    const client = new pg.Client(server === 'control' ? control : connections[server]);
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  await query('db1', 'create database control');
  const entries = Object.entries(shards).map(([name, ranges]) => ({ ...connections[name]!, name, shards: ranges }));
  await initCluster(entries, control);
  return { setting: { control, servers: connections }, connections, map: shardMapOf(entries), query };
}

/** Tables `t1`, `t2`, … in some shards, by a migration, and rows in each. */
export async function makeTables(
  { map, query }: ShardCluster,
  { shards, tables, rowsEach }: { shards: readonly number[]; tables: number; rowsEach: number },
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-move-'));
  const source = Array.from(
    { length: tables },
    (_, n) => `create table t${n + 1} (id bigint primary key default next_id(), name text not null, n bigint not null);
create index t${n + 1}_n on t${n + 1} (n);`,
  ).join('\n');
  await writeFile(join(directory, '001-tables.sql'), source);
  await migrate(map, { directory, shards });
  await rm(directory, { recursive: true });
  const fill = (shardId: number): string =>
    Array.from(
      { length: tables },
      (_, n) => `insert into ${schemaOf(shardId)}.t${n + 1} (name, n)
         select 'Person number ' || g || ' of Reykjavík', g from generate_series(1, ${rowsEach}) g`,
    ).join(';\n');
  for (const shardId of shards) await query(map.serverOf(shardId).name, fill(shardId));
  for (const { name, ranges } of map.servers) if (ranges.length > 0) await query(name, 'checkpoint');
}

/** Acknowledged rows of a shard that are not on its server. */
export async function lostRows(
  { query }: ShardCluster,
  { server, shardId, tables }: { server: string; shardId: number; tables: number },
  { acked }: ShardLoadReport,
): Promise<number> {
  let missing = 0;
  for (const table of ['entities', ...Array.from({ length: tables }, (_, n) => `t${n + 1}`)]) {
    const ids = acked
      .filter((row) => row.startsWith(`${table} `))
      .map((row) => row.slice(table.length + 1))
      .filter((id) => Number((BigInt(id) >> 10n) & 8191n) === shardId);
    if (ids.length === 0) continue;
    const { rows } = await query(
      server,
      `select count(*)::int as n from unnest('{${ids.join(',')}}'::bigint[]) as given (id)
       where not exists (select from ${schemaOf(shardId)}.${table} as row where row.id = given.id)`,
    );
    missing += rows[0]!.n as number;
  }
  return missing;
}

/** When the parts of a pause were over, in ms since its beginning, by the journal: the median, and those of the longest. */
export async function pauseParts(
  { query }: ShardCluster,
  since: Date,
): Promise<Record<'p50' | 'ofTheLongest', Record<string, number>>> {
  const { rows } = await query(
    'control',
    `select
       part as name,
       percentile_cont(0.5) within group (order by ms::float8) as p50,
       (array_agg(ms::float8 order by (detail->>'pauseMs')::float8 desc))[1] as longest
     from hypervault.move_steps
     cross join jsonb_each_text(detail->'partsMs') as parts (part, ms)
     where step = 'open' and began > '${since.toISOString()}'
     group by part
     order by p50`,
  );
  return {
    p50: Object.fromEntries(rows.map(({ name, p50 }) => [name, rounded(p50)])),
    ofTheLongest: Object.fromEntries(rows.map(({ name, longest }) => [name, rounded(longest)])),
  };
}

export const schemaOf = (shardId: number): string => `shard${String(shardId).padStart(4, '0')}`;
