import { deleteChunks } from '../catalogue/chunk-rows.ts';
import { noteLostView } from '../catalogue/lost-views.ts';
import { putStructure, setPosition } from '../catalogue/position-rows.ts';
import { deletePrepared } from '../catalogue/prepared-rows.ts';
import { inTransaction } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Position } from '../model/position.ts';
import type { TableCopy } from '../snapshot/copy-job.ts';
import { fillKeptTables } from '../snapshot/fill-kept-tables.ts';
import { dropLoadingSchemas } from '../snapshot/prepare-target.ts';
import { swapTables } from '../snapshot/swap-tables.ts';
import type { EngineContext } from './context.ts';

/**
 * On each server all copied tables take their places in one transaction, together with the position to read on from.
 * @param start - that position; `null` when it is stored already, since other tables are followed
 */
export async function takePlaces(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  {
    copies,
    servers,
    start,
  }: { readonly copies: readonly TableCopy[]; readonly servers: Iterable<string>; readonly start: Position | null },
): Promise<void> {
  for (const server of servers) {
    await context.servers.with(server, async (client) => {
      const tables = copies.map(({ row, router }) => ({
        target: row.target,
        destinations: router.destinations.filter((destination) => destination.server === server),
      }));
      const lost = await inTransaction(client, async () => {
        const { lockTimeoutMs, grantSelectTo, keepExistingSchema } = config;
        const views = keepExistingSchema ? [] : await swapTables(client, tables, { lockTimeoutMs, grantSelectTo });
        if (keepExistingSchema) await fillKeptTables(client, source.key, tables, { lockTimeoutMs });
        for (const { row } of copies) {
          await putStructure(client, source.key, {
            tableId: row.id,
            version: row.version,
            source: row.source,
            target: row.target,
          });
        }
        if (start !== null) {
          await setPosition(client, source.key, start);
          await deletePrepared(client, source.key);
        }
        await deleteChunks(
          client,
          source.key,
          copies.map(({ row }) => row.id),
        );
        return views;
      });
      for (const { view, reason } of lost) {
        context.log.error(`${config.name}: the view ${view.schema}.${view.name} no longer fits: ${reason}`);
        await context.control((control) => noteLostView(control, view, reason));
      }
      const schemas = new Set(tables.flatMap(({ destinations }) => destinations.map(({ schema }) => schema)));
      await dropLoadingSchemas(client, schemas);
    });
  }
}
