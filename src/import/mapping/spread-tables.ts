import type { StoredRouting } from '../catalogue/table-rows.ts';
import { HOME } from '../ddl/run-statements.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';

interface Spreadable {
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly routing: StoredRouting;
}

const NARROW = /^(smallint|integer|numeric\(20\))$/;

/**
 * What changes when tables are spread over shards: numbers given out by each shard's own sequence would collide, so
 * keys that the source numbers take new values from `next_id()`. Those need bigint, and so do the columns that refer
 * to them. Old values stay as they are.
 */
export function spreadTables<Table extends Spreadable>(tables: readonly Table[]): Table[] {
  const widened = new Set<string>();
  for (const { source, target, routing } of tables) {
    if (routing.kind !== 'by') continue;
    for (const column of target.columns)
      if (column.identity) widened.add(`${source.schema}.${source.name}.${column.name}`);
  }
  if (widened.size === 0) return [...tables];
  for (let grew = true; grew; ) {
    grew = false;
    for (const { source } of tables) {
      for (const { columns, parentSchema, parentTable, parentColumns } of source.foreignKeys) {
        columns.forEach((name, index) => {
          const child = `${source.schema}.${source.name}.${name}`;
          if (widened.has(child) || !widened.has(`${parentSchema}.${parentTable}.${parentColumns[index]}`)) return;
          widened.add(child);
          grew = true;
        });
      }
    }
  }
  return tables.map((table) => {
    const { source, target, routing } = table;
    const columns = target.columns.map((column) => {
      if (!widened.has(`${source.schema}.${source.name}.${column.name}`)) return column;
      const type = NARROW.test(column.type) ? 'bigint' : column.type;
      if (!column.identity || routing.kind !== 'by') return { ...column, type };
      return { ...column, type, identity: false, default: `${HOME}.next_id()` };
    });
    return { ...table, target: { ...target, columns } };
  });
}
