// Two real servers that keep what they acknowledge (fsync on), with 16 shards.
import pg from 'pg';
import { install } from 'pg-hypervault';
import { type Embedded, startEmbedded } from 'pg-hypervault/embedded';

export const SHARDS = Array.from({ length: 16 }, (_, index) => index + 1);

/** Clients that each rival may have on each server; the datastore's own default. */
export const POOL_MAX = 10;

export interface BenchServers {
  readonly connections: readonly {
    host: string;
    port: number;
    user: string;
    password: string;
    database: string;
    shards: string;
  }[];
  /** The server of a shard: 0 or 1. */
  of(shardId: number): number;
  /** Runs a statement on a session of its own. */
  query(server: number, text: string, values?: unknown[]): Promise<pg.QueryResult>;
  stop(): Promise<void>;
}

export const schemaOf = (shardId: number): string => `shard${String(shardId).padStart(4, '0')}`;

export async function startServers({
  ranges = ['1-9', '9-17'],
  settings = {},
}: {
  ranges?: readonly string[];
  settings?: Record<string, string | number>;
} = {}): Promise<BenchServers> {
  const embedded: Embedded = await startEmbedded({
    servers: ranges.length,
    settings: { shared_buffers: '256MB', max_wal_size: '4GB', ...settings },
  });
  const connections = embedded.servers.map(({ connection }, index) => ({ ...connection, shards: ranges[index]! }));
  const ends = ranges.map((range) => Number(range.split('-')[1]));
  try {
    await install(connections);
  } catch (error) {
    await embedded.stop();
    throw error;
  }
  return {
    connections,
    of: (shardId) => ends.findIndex((end) => shardId < end),
    query: async (server, text, values) => {
      const client = new pg.Client(connections[server]);
      await client.connect();
      try {
        return await client.query(text, values);
      } finally {
        await client.end();
      }
    },
    stop: () => embedded.stop(),
  };
}

/** Lends servers for the length of a question. */
export async function withServers<T>(
  fn: (servers: BenchServers) => Promise<T>,
  options?: Parameters<typeof startServers>[0],
): Promise<T> {
  const servers = await startServers(options);
  try {
    return await fn(servers);
  } finally {
    await servers.stop();
  }
}
