import type { SourceRow } from '../catalogue/source-rows.ts';
import { listTables } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { takeOffForeignKeys } from '../ddl/foreign-keys.ts';
import { takeOffKeys } from '../ddl/kept-keys.ts';
import { routerOf } from './load-tables.ts';

/**
 * Makes sure that no foreign key that detaching makes stands on the tables while they are replicated. A batch brings
 * rows to the end of many changes, deleting and inserting: a key would refuse that, or delete the children of a row
 * that only changed.
 */
export async function withoutForeignKeys(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
): Promise<void> {
  const rows = await context.control((client) => listTables(client, source));
  const placed = rows
    .filter(({ state }) => state === 'followed' || state === 'aside')
    .map((row) => ({ source: row.source, targetName: row.target.name, router: routerOf(context, config, row) }));
  if (config.keepExistingSchema) {
    for (const server of new Set(placed.flatMap(({ router }) => router.destinations.map((place) => place.server)))) {
      const places = placed.flatMap(({ targetName, router }) =>
        router.destinations
          .filter((place) => place.server === server)
          .map(({ schema }) => ({ schema, name: targetName })),
      );
      await context.servers.with(server, (client) => takeOffKeys(client, source.key, places));
    }
    return;
  }
  const dropped = await takeOffForeignKeys(placed, (server, work) => context.servers.with(server, work));
  if (dropped > 0)
    context.log.warn(`${source.name}: ${dropped} foreign keys of a detach that was cut off were taken off again`);
}
