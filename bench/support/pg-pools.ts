import pg from 'pg';
import { type BenchServers, POOL_MAX } from './servers.ts';

/** A node-postgres pool for each server. */
export function makePools(servers: BenchServers): pg.Pool[] {
  return servers.connections.map((connection) => {
    const pool = new pg.Pool({ ...connection, max: POOL_MAX });
    // Its `end()` does not wait for the sessions to be gone, and the server that stops ends them with an error.
    pool.on('error', () => {});
    return pool;
  });
}

export async function endPools(pools: readonly pg.Pool[]): Promise<void> {
  await Promise.all(pools.map((pool) => pool.end()));
}
