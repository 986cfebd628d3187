import type { ClientBase } from 'pg';
import { noteError } from '../catalogue/error-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { findNamed, freeName, givingNames } from '../catalogue/table-names.ts';
import type { StoredRouting } from '../catalogue/table-rows.ts';
import { AHEAD, deleteTable, putTable, putTableAhead, setTableState } from '../catalogue/table-rows.ts';
import { type EngineContext, mappingOptions } from '../commands/context.ts';
import { isWanted } from '../commands/wanted.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { UnmappableTable } from '../mapping/map-table.ts';
import { spreadTables } from '../mapping/spread-tables.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import { type TargetTable, unmappedTable } from '../model/target-table.ts';
import { chooseRouting } from '../route/table-routing.ts';
import type { ImportSource } from '../source/import-source.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import type { FollowedTables } from '../stream/followed-tables.ts';
import type { StatementHost } from '../stream/statement-host.ts';
import { routerOf, skippedEvents } from './load-tables.ts';

/** What a reader asks when a statement of the source has to be followed. */
export function statementHost(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  reader: ImportSource,
  { postgis, tables }: { postgis: boolean; tables: FollowedTables },
): StatementHost {
  const map = (table: SourceTable): TargetTable => {
    const schema = config.schemaMappings[table.schema] ?? table.schema;
    const target = reader.mapTable(table, schema, mappingOptions(context, config, postgis));
    const choice = chooseRouting(table, config.routing);
    if ('problem' in choice) return target;
    // What a new table refers to decides how wide its columns have to be
    const others = [...tables].map((known) => ({
      source: known.source,
      target: known.target,
      routing: routingOf(known),
    }));
    return spreadTables([...others, { source: table, target, routing: choice.routing }]).at(-1)!.target;
  };
  // Renamed or dropped when the log has another table under its name, it may not be so here for long: its number must
  // not become the other's. One that was set aside under that name is gone for good, with the reason why
  const letGoOfName = async (client: ClientBase, name: SourceTable): Promise<void> => {
    const holder = await findNamed(client, source, name);
    if (holder === null) return;
    if (holder.state === 'aside' && !tables.isElsewhere(holder.id, name)) await deleteTable(client, holder.id);
    else if (tables.hasKnown(holder.id)) await freeName(client, holder.id);
  };
  return {
    wants: (schema, name) => isWanted(config, { schema, name }),
    mapsSchema: (schema) => config.schemaMappings[schema] !== undefined,
    map,
    register: async (table, target): Promise<FollowedTable> => {
      const choice = chooseRouting(table, config.routing);
      if ('problem' in choice) throw new UnmappableTable(qualifiedName(table), [choice.problem]);
      const row = await context.control((client) =>
        givingNames(client, source, async () => {
          await letGoOfName(client, table);
          return putTableAhead(client, source, { source: table, target, routing: choice.routing });
        }),
      );
      return {
        id: row.id,
        version: AHEAD + 1,
        source: table,
        target,
        router: routerOf(context, config, row),
        copiedAt: { all: 0n, column: null, ranges: [] },
        skipEvents: skippedEvents(config, table),
      };
    },
    registerAside: async (table, reason) => {
      const target = unmappedTable(config.schemaMappings[table.schema] ?? table.schema, table.name);
      await context.control((client) =>
        givingNames(client, source, async () => {
          await letGoOfName(client, table);
          const row = await putTable(client, source, { source: table, target, routing: { kind: 'one' } });
          await setTableState(client, row.id, 'aside', reason);
          await noteError(client, source, {
            phase: 'statement',
            tableId: row.id,
            table: qualifiedName(table),
            message: reason,
            remedy: syncRemedy(table),
          });
        }),
      );
    },
  };
}

function routingOf({ router }: FollowedTable): StoredRouting {
  return router.kind === 'by-key' ? { kind: 'by', columns: router.columns } : { kind: 'one' };
}

/** How a table that was set aside comes back. */
export function syncRemedy(table: { readonly schema: string; readonly name: string }): string {
  return `hypervault import sync-tables --tables ${qualifiedName(table)}`;
}
