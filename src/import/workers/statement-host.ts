import { noteError } from '../catalogue/error-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { putTable, setTableState } from '../catalogue/table-rows.ts';
import { type EngineContext, mappingOptions } from '../commands/context.ts';
import { isWanted } from '../commands/wanted.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { UnmappableTable } from '../mapping/map-table.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import { chooseRouting } from '../route/table-routing.ts';
import type { ImportSource } from '../source/import-source.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import type { StatementHost } from '../stream/statement-host.ts';
import { routerOf, skippedEvents } from './load-tables.ts';

/** What a reader asks when a statement of the source has to be followed. */
export function statementHost(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  reader: ImportSource,
  { postgis }: { postgis: boolean },
): StatementHost {
  const map = (table: SourceTable): TargetTable =>
    reader.mapTable(table, config.schemaMappings[table.schema] ?? table.schema, mappingOptions(context, config, postgis));
  return {
    wants: (schema, name) => isWanted(config, { schema, name }),
    mapsSchema: (schema) => config.schemaMappings[schema] !== undefined,
    map,
    register: async (table, target): Promise<FollowedTable> => {
      const choice = chooseRouting(table, config.routing);
      if ('problem' in choice) throw new UnmappableTable(qualifiedName(table), [choice.problem]);
      const row = await context.control((client) => putTable(client, source, { source: table, target, routing: choice.routing }, 'followed'));
      return {
        id: row.id,
        version: row.version,
        source: table,
        target,
        router: routerOf(context, config, row),
        copiedAt: { all: 0n, column: null, ranges: [] },
        skipEvents: skippedEvents(config, table),
      };
    },
    registerAside: async (table, reason) => {
      await context.control(async (client) => {
        const target: TargetTable = {
          schema: config.schemaMappings[table.schema] ?? table.schema,
          name: table.name,
          columns: [],
          primaryKey: [],
          identity: { kind: 'whole-row' },
          indexes: [],
          checks: [],
          comment: '',
          remarks: [],
        };
        const row = await putTable(client, source, { source: table, target, routing: { kind: 'one' } });
        await setTableState(client, row.id, 'aside', reason);
        await noteError(client, source, { phase: 'statement', tableId: row.id, table: qualifiedName(table), message: reason, remedy: syncRemedy(table) });
      });
    },
  };
}

/** How a table that was set aside comes back. */
export function syncRemedy(table: { readonly schema: string; readonly name: string }): string {
  return `hypervault import sync-tables --tables ${qualifiedName(table)}`;
}
