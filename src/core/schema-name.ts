/** The schema of a shard, e.g. `shard0005`; not quoted. */
export function schemaName(prefix: string, shardId: number): string {
  return `${prefix}${String(shardId).padStart(4, '0')}`;
}
