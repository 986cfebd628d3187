import type { SourceTable } from '../model/source-table.ts';

/** A table whose rows change with those of another by a foreign key. */
export interface Dependent<Table> {
  readonly table: Table;
  readonly foreignKey: string;
  readonly parent: Table;
}

/**
 * The tables that cannot be followed without a given one: its deletions and new keys change their rows, which no log
 * tells, and so on with their own dependents.
 */
export function dependentsOf<Table extends { readonly source: SourceTable }>(
  table: Table,
  tables: readonly Table[],
): Dependent<Table>[] {
  const found: Dependent<Table>[] = [];
  const seen = new Set([table]);
  const queue = [table];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    const { schema, name } = parent.source;
    for (const child of tables) {
      if (seen.has(child)) continue;
      const key = child.source.foreignKeys.find(
        ({ parentSchema, parentTable, onDelete, onUpdate }) =>
          parentSchema === schema && parentTable === name && /cascade|set null/.test(`${onDelete} ${onUpdate}`),
      );
      if (key === undefined) continue;
      seen.add(child);
      queue.push(child);
      found.push({ table: child, foreignKey: key.name, parent });
    }
  }
  return found;
}
