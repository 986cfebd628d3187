import type { SourceConfig } from '../config/source-config.ts';
import { qualifiedName } from '../model/source-table.ts';

/** Whether a table is to be replicated: `limit_tables` and `skip_tables` of the configuration. */
export function isWanted(config: SourceConfig, table: { readonly schema: string; readonly name: string }): boolean {
  if (config.schemaMappings[table.schema] === undefined) return false;
  const name = qualifiedName(table);
  if (config.limitTables.length > 0 && !config.limitTables.includes(name)) return false;
  return !config.skipTables.includes(name);
}
