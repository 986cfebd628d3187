import type { RunOptions, Shards } from './shards.ts';

/** Asks every server for a sign of life. @returns the slowest answer, in seconds */
export async function ping(shards: Shards, options: RunOptions): Promise<number> {
  const started = performance.now();
  const firstOfServer = new Map(shards.ids.map((shardId) => [shards.serverOf(shardId), shardId]));
  const statement = { text: 'select 1', values: [] };
  await Promise.all([...firstOfServer.values()].map((shardId) => shards.query('read', shardId, statement, options)));
  return (performance.now() - started) / 1_000;
}
