import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { ServerApplier } from '../apply/server-applier.ts';
import { noteError } from '../catalogue/error-rows.ts';
import { type SourceRow, setConsistency } from '../catalogue/source-rows.ts';
import { setConsistentCopy, type TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { indexStatement } from '../ddl/create-table.ts';
import { inSchema } from '../ddl/run-statements.ts';
import { qualifiedName } from '../model/source-table.ts';
import { routerOf } from './load-tables.ts';
import { messageOf } from './message-of.ts';

/**
 * The changes up to the latest moment that any copied row shows are applied: the tables are consistent with each
 * other, and the unique indexes that had to wait for it can be made.
 */
export async function becomeConsistent(
  context: EngineContext,
  source: SourceRow,
  tables: readonly TableRow[],
  appliers: readonly ServerApplier[],
  config: SourceConfig,
): Promise<void> {
  const all = source.highWater ?? 0n;
  for (const table of tables) {
    if (table.state !== 'followed' || table.copiedAt === null || table.copiedAt.ranges.length === 0) continue;
    const router = routerOf(context, config, table);
    for (const { server } of appliers) {
      await context.servers.with(server, async (client) => {
        for (const { schema } of router.destinations.filter((destination) => destination.server === server)) {
          for (const index of table.pendingIndexes) {
            const sql = inSchema(indexStatement(table.target, index), schema);
            await client.query(sql).catch((error: unknown) => {
              // Made already by a process that was killed here
              if (sqlStateOf(error) === SQLSTATE.duplicateTable) return;
              return context.control((control) =>
                noteError(control, source, {
                  phase: 'copy',
                  tableId: table.id,
                  table: qualifiedName(table.source),
                  message: `the index ${index.name} could not be made: ${messageOf(error)}`,
                  sql,
                }),
              );
            });
          }
        }
      });
    }
    await context.control((client) => setConsistentCopy(client, table.id, all));
  }
  await context.control((client) => setConsistency(client, source, source.highWater, true));
}
