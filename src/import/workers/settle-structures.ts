import type { Client } from 'pg';
import { deleteLog } from '../catalogue/log-rows.ts';
import { listStructures, readPosition, type StructureRow } from '../catalogue/position-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { freeName, givingNames, updateStructure } from '../catalogue/table-names.ts';
import { deleteTable, listTables, setTableState, type TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { qualifiedName } from '../model/source-table.ts';
import { serversOf } from './load-tables.ts';

/** What was read and not applied is forgotten: it is read again from what the servers have, and so are the names it gave. */
export async function forgetUnapplied(context: EngineContext, config: SourceConfig, source: SourceRow): Promise<void> {
  await context.control((client) => deleteLog(client, source));
  await settleStructures(context, config, source);
}

/**
 * Brings names and structures in the catalogue to what the servers have applied. A process that was killed between a
 * server's commit and its note leaves them behind, and no later batch speaks of them again; one that was killed while it
 * read ahead has given names to tables that are not there yet, and taken them from others. The caller holds the source's
 * lock, and nothing is in the log between the workers: with that the catalogue is written, and ahead of the servers.
 */
export async function settleStructures(context: EngineContext, config: SourceConfig, source: SourceRow): Promise<void> {
  const servers = await Promise.all(
    serversOf(context, config).map((server) =>
      context.servers.with(server, async (client) => ({
        position: await readPosition(client, source.key),
        structures: await listStructures(client, source.key),
      })),
    ),
  );
  // Before the first copy took its place, and in the midst of one, nothing was applied
  if (servers.some(({ position }) => position === null)) return;
  const behind = servers.reduce((least, one) =>
    one.position!.position.ordinal < least.position!.position.ordinal ? one : least,
  );
  const applied = new Map(behind.structures.map((structure) => [structure.tableId, structure]));
  const somewhere = new Set(servers.flatMap(({ structures }) => structures.map(({ tableId }) => tableId)));
  await context.control((client) =>
    givingNames(client, source, async () => {
      const rows = await listTables(client, source);
      const stale = rows.flatMap((row): StructureRow[] => {
        const structure = applied.get(row.id);
        return structure !== undefined && isStale(row, structure) ? [structure] : [];
      });
      await deleteUnapplied(client, rows, {
        somewhere,
        wanted: new Set(stale.map((one) => qualifiedName(one.source))),
      });
      // Their names may have gone round among them
      for (const { tableId } of stale) await freeName(client, tableId);
      for (const { tableId: id, version, source: was, target } of stale) {
        await updateStructure(client, source, { id, version, source: was, target });
      }
      // Its end was read, and comes again
      for (const { id, state } of rows)
        if (state === 'dropped' && applied.has(id)) await setTableState(client, id, 'followed', null);
    }),
  );
}

function isStale({ state, version, registeredAs }: TableRow, structure: StructureRow): boolean {
  if (state === 'copying') return false;
  // Of a table that is aside the catalogue may know more: changes of it are noted, and not applied
  if (state === 'aside' && version > structure.version) return false;
  return version !== structure.version || registeredAs !== structure.source.name;
}

/** Takes out what was dropped, or made by a statement that comes again, also where that has only a name and a reason. */
async function deleteUnapplied(
  client: Client,
  rows: readonly TableRow[],
  { somewhere, wanted }: { readonly somewhere: ReadonlySet<number>; readonly wanted: ReadonlySet<string> },
): Promise<void> {
  for (const { id, state, source } of rows) {
    if (somewhere.has(id)) continue;
    const isLeft =
      state === 'followed' || state === 'dropped' || (state === 'aside' && wanted.has(qualifiedName(source)));
    if (isLeft) await deleteTable(client, id);
  }
}
