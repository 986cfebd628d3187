import type { FollowedTable } from './followed-table.ts';

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
}

export function lineLayout(table: FollowedTable, columns: readonly string[]): LineLayout {
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
  };
}

/** The columns of an old row image that are needed: to find the row, its shard, and the range it was copied in. */
export function oldImageColumns(table: FollowedTable): readonly string[] | undefined {
  const { identity } = table.target;
  if (identity.kind === 'whole-row') return undefined;
  const { router, copiedAt } = table;
  return [
    ...identity.columns,
    ...(router.kind === 'by-key' ? router.columns : []),
    ...(copiedAt.column === null ? [] : [copiedAt.column]),
  ];
}
