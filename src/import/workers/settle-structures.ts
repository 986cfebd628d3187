import { listStructures, readPosition, type StructureRow } from '../catalogue/position-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { freeName, givingNames, updateStructure } from '../catalogue/table-names.ts';
import { deleteTable, listTables } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { serversOf } from './load-tables.ts';

/**
 * Brings names and structures in the catalogue to what the servers have applied. A process that was killed between a
 * server's commit and its note leaves them behind, and no later batch speaks of them again. The caller holds the
 * source's lock; returns the numbers of the tables that were behind. With a log between the workers the catalogue is written with that, and is right.
 */
export async function settleStructures(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
): Promise<ReadonlySet<number>> {
  if (config.mode !== 'direct') return new Set();
  const servers = await Promise.all(
    serversOf(context, config).map((server) =>
      context.servers.with(server, async (client) => ({
        position: await readPosition(client, source.key),
        structures: await listStructures(client, source.key),
      })),
    ),
  );
  // Before the first copy took its place, and in the midst of one, nothing was applied
  if (servers.some(({ position }) => position === null)) return new Set();
  const behind = servers.reduce((least, one) =>
    one.position!.position.ordinal < least.position!.position.ordinal ? one : least,
  );
  const applied = new Map(behind.structures.map((structure) => [structure.tableId, structure]));
  const somewhere = new Set(servers.flatMap(({ structures }) => structures.map(({ tableId }) => tableId)));
  return context.control((client) =>
    givingNames(client, source, async () => {
      const rows = await listTables(client, source);
      const stale = rows.flatMap((row): StructureRow[] => {
        const structure = applied.get(row.id);
        return structure !== undefined && row.state !== 'copying' && structure.version > row.version ? [structure] : [];
      });
      // Their names may have gone round among them
      for (const { tableId } of stale) await freeName(client, tableId);
      for (const { tableId: id, version, source: was, target } of stale) {
        await updateStructure(client, source, { id, version, source: was, target });
      }
      // Dropped, or made by a statement that comes again
      for (const { id, state } of rows) {
        if (!somewhere.has(id) && (state === 'followed' || state === 'dropped')) await deleteTable(client, id);
      }
      return new Set(stale.map(({ tableId }) => tableId));
    }),
  );
}
