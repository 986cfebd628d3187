// A configuration whose source goes into the shards of the two servers of the template.
import type { TestDatabase } from '../support/database.ts';
import { TEMPLATE_SHARDS } from '../support/template.ts';

export function shardedConfig(databases: readonly TestDatabase[], source: Record<string, unknown>): object {
  return {
    servers: Object.fromEntries(TEMPLATE_SHARDS.map(({ name }, n) => [name, databases[n]!.connection])),
    shards: Object.fromEntries(TEMPLATE_SHARDS.map(({ name, shards }) => [name, shards])),
    control: TEMPLATE_SHARDS[0].name,
    slots: 8,
    firstShard: 1,
    import: { sources: { shop: { type: 'mysql', sleep_loop: 0.2, ...source } } },
  };
}
