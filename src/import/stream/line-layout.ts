import type { FollowedTable } from './followed-table.ts';
import { type CascadeReach, referenceId } from './pending-cascades.ts';

/** How the lines of a table are laid out in the log: a source's decoder says so once per table shape. */
export interface LineLayout {
  readonly table: FollowedTable;
  readonly columns: readonly string[];
  /** Indexes of the key's fields; empty when rows have no key and are told apart by the whole line. */
  readonly key: readonly number[];
  /** Indexes of the routing key's fields; empty when the table is not routed. */
  readonly route: readonly number[];
  /** Index of the field whose ranges were copied at different times; −1 for most tables. */
  readonly range: number;
  /** `null` when no foreign key into the table or out of it changes rows by itself. */
  readonly cascades: LayoutCascades | null;
}

/** Where the fields are that foreign keys with CASCADE or SET NULL are made of. */
export interface LayoutCascades {
  readonly reach: CascadeReach;
  /** Keys of this table that others refer to. */
  readonly references: readonly {
    readonly id: string;
    readonly columns: readonly string[];
    readonly fields: readonly number[];
  }[];
  /** This table's foreign keys, named by what they refer to. */
  readonly foreignKeys: readonly { readonly id: string; readonly fields: readonly number[] }[];
}

/** @param reach - the foreign keys that change rows without a word in the source's log; none when left out */
export function lineLayout(
  table: FollowedTable,
  columns: readonly string[],
  reach: CascadeReach | null = null,
): LineLayout {
  const { identity } = table.target;
  const keyColumns = identity.kind === 'key' ? identity.columns : [];
  const routeColumns = table.router.kind === 'by-key' ? table.router.columns : [];
  const { column } = table.copiedAt;
  return {
    table,
    columns,
    key: columns.flatMap((name, index) => (keyColumns.includes(name) ? [index] : [])),
    route: routeColumns.map((name) => columns.indexOf(name)),
    range: column === null || table.copiedAt.ranges.length === 0 ? -1 : columns.indexOf(column),
    cascades: layoutCascades(table, columns, reach),
  };
}

function layoutCascades(
  table: FollowedTable,
  columns: readonly string[],
  reach: CascadeReach | null,
): LayoutCascades | null {
  if (reach === null) return null;
  const fieldsOf = (names: readonly string[]): number[] => names.map((name) => columns.indexOf(name));
  const references = new Map(
    reach.links
      .from(table.id)
      .map(({ parentId, parentColumns }) => [referenceId(parentId, parentColumns), parentColumns]),
  );
  const foreignKeys = reach.links.into(table.id);
  if (references.size + foreignKeys.length === 0) return null;
  return {
    reach,
    references: [...references].map(([id, names]) => ({ id, columns: names, fields: fieldsOf(names) })),
    foreignKeys: foreignKeys.map(({ parentId, parentColumns, childColumns }) => ({
      id: referenceId(parentId, parentColumns),
      fields: fieldsOf(childColumns),
    })),
  };
}

/** The columns of an old row image that are needed: to find the row, its shard, the range it was copied in, its children. */
export function oldImageColumns(
  table: FollowedTable,
  reach: CascadeReach | null = null,
): readonly string[] | undefined {
  const { identity } = table.target;
  if (identity.kind === 'whole-row') return undefined;
  const { router, copiedAt } = table;
  return [
    ...identity.columns,
    ...(router.kind === 'by-key' ? router.columns : []),
    ...(copiedAt.column === null ? [] : [copiedAt.column]),
    ...(reach?.links.from(table.id) ?? []).flatMap(({ parentColumns }) => parentColumns),
  ];
}
