import { listStructures } from '../catalogue/position-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { AHEAD, listTables, type TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { Router } from '../route/router.ts';
import { chooseRouting } from '../route/table-routing.ts';
import type { FollowedTable } from '../stream/followed-table.ts';

/** The router of a registered table. */
export function routerOf(
  context: EngineContext,
  config: SourceConfig,
  table: Pick<TableRow, 'routing' | 'source' | 'target'>,
): Router {
  const { places, config: whole } = context;
  const choice = chooseRouting(table.source, config.routing);
  const by = 'by' in choice ? choice.by : null;
  return places.router(table.routing, config.server ?? whole.topology.control, table.target.schema, by);
}

/** The kinds of changes that `skip_events` leaves out for a table. */
export function skippedEvents(
  config: SourceConfig,
  table: { readonly schema: string; readonly name: string },
): FollowedTable['skipEvents'] {
  const names = [table.schema, qualifiedName(table)];
  const kinds = (['insert', 'update', 'delete'] as const).filter((kind) =>
    config.skipEvents[kind].some((entry) => names.includes(entry)),
  );
  return new Set(kinds);
}

/**
 * The tables to follow, with the structures they have on the server that is furthest behind: that is where reading
 * begins. A table without a structure there was made by a statement that comes again, or dropped.
 */
export async function loadTables(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  server: string,
): Promise<FollowedTable[]> {
  const [rows, structures] = await Promise.all([
    context.control((client) => listTables(client, source)),
    context.servers.with(server, (client) => listStructures(client, source.key)),
  ]);
  const byId = new Map(structures.map((structure) => [structure.tableId, structure]));
  const known = rows.flatMap((row) => {
    const structure = byId.get(row.id);
    if (structure === undefined) return [];
    // A table whose end was read, but not applied here, is followed up to its end
    const state = row.state === 'dropped' ? 'followed' : row.state;
    return [{ ...row, state, version: structure.version, source: structure.source, target: structure.target }];
  });
  return followedFrom(context, config, known);
}

/** The tables of the catalogue that are to be followed. */
export function followedFrom(context: EngineContext, config: SourceConfig, rows: readonly TableRow[]): FollowedTable[] {
  return rows
    .filter(({ state, version }) => state === 'followed' && version !== AHEAD)
    .map((row) => ({
      id: row.id,
      version: row.version,
      source: row.source,
      target: row.target,
      router: routerOf(context, config, row),
      copiedAt: row.copiedAt ?? { all: 0n, column: null, ranges: [] },
      skipEvents: skippedEvents(config, row.source),
    }));
}

/** Servers that take rows of a source. */
export function serversOf(context: EngineContext, config: SourceConfig): string[] {
  if (config.routing === null) return [config.server ?? context.config.topology.control];
  return context.places.shardServers();
}
