// The ways others read a row by its id, each as its own documentation would have it.
import DataLoader from 'dataloader';
import pg from 'pg';
import postgres from 'postgres';
import type { Target } from './fill.ts';
import { endPools, makePools } from './pg-pools.ts';
import type { GetRival, Reading } from './rival.ts';
import { type BenchServers, POOL_MAX, schemaOf } from './servers.ts';

/** postgres.js: a pool per server; it prepares and pipelines by itself. */
export function postgresJs(servers: BenchServers, { table, columns, decode }: Reading): GetRival {
  const pools = servers.connections.map(({ shards: _, user, ...connection }) =>
    postgres({ ...connection, username: user, max: POOL_MAX, onnotice: () => {} }),
  );
  return {
    get: async ({ shardId, id }) => {
      const sql = pools[servers.of(shardId)]!;
      const rows =
        await sql`select ${sql.unsafe(columns)} from ${sql.unsafe(schemaOf(shardId))}.${sql.unsafe(table)} where id = ${id}`;
      return decode(rows[0]!);
    },
    close: async () => {
      await Promise.all(pools.map((sql) => sql.end()));
    },
  };
}

/** node-postgres: a pool per server, a named prepared statement per shard. */
export function pgPool(servers: BenchServers, { table, columns, decode }: Reading): GetRival {
  const pools = makePools(servers);
  return {
    get: async ({ shardId, id }) => {
      const name = `get${shardId}`;
      const text = `select ${columns} from ${schemaOf(shardId)}.${table} where id = $1`;
      return decode((await pools[servers.of(shardId)]!.query({ name, text, values: [id] })).rows[0]);
    },
    close: () => endPools(pools),
  };
}

/** One prepared statement on one session per server: what one caller can have at best. */
export async function pgClient(servers: BenchServers, { table, columns, decode }: Reading): Promise<GetRival> {
  const clients = servers.connections.map((connection) => new pg.Client(connection));
  await Promise.all(clients.map((client) => client.connect()));
  return {
    get: async ({ shardId, id }) => {
      const name = `get${shardId}`;
      const text = `select ${columns} from ${schemaOf(shardId)}.${table} where id = $1`;
      return decode((await clients[servers.of(shardId)]!.query({ name, text, values: [id] })).rows[0]);
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}

/** DataLoader over node-postgres, as one would write it in an afternoon. */
export function dataLoader(servers: BenchServers, { table, columns, decode }: Reading): GetRival {
  const pools = makePools(servers);
  const loader = new DataLoader<Target, unknown>(
    async (targets) => {
      const idsOf = new Map<number, string[]>();
      for (const { shardId, id } of targets) {
        const ids = idsOf.get(shardId);
        if (ids === undefined) idsOf.set(shardId, [id]);
        else ids.push(id);
      }
      const found = new Map<string, unknown>();
      await Promise.all(
        [...idsOf].map(async ([shardId, ids]) => {
          const text = `select ${columns} from ${schemaOf(shardId)}.${table} where id = any($1::bigint[])`;
          const { rows } = await pools[servers.of(shardId)]!.query({ name: `many${shardId}`, text, values: [ids] });
          for (const row of rows) found.set(row.id, decode(row));
        }),
      );
      return targets.map(({ id }) => found.get(id));
    },
    { cache: false },
  );
  return { get: (target) => loader.load(target), close: () => endPools(pools) };
}
