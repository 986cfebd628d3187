import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import { AHEAD } from './table-rows.ts';

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
export function dependentsOf<
  Table extends { readonly id: number; readonly version: number; readonly source: SourceTable },
>(table: Table, known: readonly Table[]): Dependent<Table>[] {
  // The reader registers tables before what it read is applied: until then their names may still be others'
  const tables = known.filter(({ version }) => version !== AHEAD);
  const owners = new Map<string, number>();
  for (const { id, source } of tables) {
    const owner = owners.get(qualifiedName(source));
    if (owner === undefined || id < owner) owners.set(qualifiedName(source), id);
  }
  const found: Dependent<Table>[] = [];
  const seen = new Set([table]);
  const queue = [table];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    const { schema, name } = parent.source;
    if (owners.get(qualifiedName(parent.source)) !== parent.id) continue;
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
