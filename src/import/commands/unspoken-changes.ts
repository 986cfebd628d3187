import type { SourceRow } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { ImportSource } from '../source/import-source.ts';
import { loadTables, serversOf } from '../workers/load-tables.ts';
import type { EngineContext } from './context.ts';

/**
 * Changes of structure that nobody has written a row since, as sentences by `schema.table`: the replica has not
 * followed them, though it may be at the end of the log.
 *
 * @param passed - waits until the replica is there; called only when there is something to wait for
 */
export async function unspokenChanges(
  context: EngineContext,
  config: SourceConfig,
  row: SourceRow,
  source: ImportSource,
  passed: () => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const look = async (): Promise<ReadonlyMap<string, string>> => {
    const tables = await loadTables(context, config, row, serversOf(context, config)[0]!);
    return (await source.unspokenChanges?.(tables.map((table) => table.source))) ?? new Map<string, string>();
  };
  const found = await look();
  if (found.size === 0) return found;
  await passed();
  return look();
}
