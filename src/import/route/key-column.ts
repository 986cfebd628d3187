import type { RouteBy, RoutingConfig } from '../config/routing-config.ts';
import { qualifiedName, type SourceForeignKey, type SourceTable } from '../model/source-table.ts';
import { chooseRouting, ruleOf } from './table-routing.ts';

/**
 * A routing column that a table lacks and can have from its parent: `order_items` has no `tenant_id`, but its
 * `order_id` refers to `orders`, which has.
 */
export interface KeyColumn {
  readonly table: SourceTable;
  readonly parent: SourceTable;
  readonly foreignKey: SourceForeignKey;
  /** The column's name, in both tables. */
  readonly name: string;
  readonly type: string;
}

/** For a table without its routing column: how it can have it, or why it cannot. By `schema.table`, parents first. */
export type KeyColumnPlan = ReadonlyMap<string, KeyColumn | { readonly refusal: string }>;

/**
 * Finds ways from tables without the routing column, by foreign keys, to tables that have it. A parent may have to get
 * it from its own parent first.
 */
export function planKeyColumns(tables: readonly SourceTable[], config: RoutingConfig): KeyColumnPlan {
  const plan = new Map<string, KeyColumn | { refusal: string }>();
  const routed = new Map<string, RouteBy>();
  let lacking: { readonly table: SourceTable; readonly rule: RouteBy }[] = [];
  for (const table of tables) {
    const choice = chooseRouting(table, config);
    if ('routing' in choice) {
      if (choice.by !== null) routed.set(qualifiedName(table), choice.by);
      continue;
    }
    const rule = ruleOf(table, config);
    if (rule !== undefined && rule.columns.length === 1) lacking.push({ table, rule });
  }
  // One generation of children after the other, so that the shortest way is found
  while (lacking.length > 0) {
    const found = lacking.flatMap(({ table, rule }) => {
      const ways = waysOf(table, rule, { tables, routed, plan });
      return ways.length === 0 ? [] : [{ table, rule, ways }];
    });
    if (found.length === 0) return plan;
    for (const { table, rule, ways } of found) {
      const way = ways.length === 1 ? ways[0]! : null;
      const reason = way === null ? ambiguity(table, ways) : refusalOf(way, plan);
      plan.set(qualifiedName(table), reason === null ? way! : { refusal: reason });
      if (reason === null) routed.set(qualifiedName(table), rule);
    }
    lacking = lacking.filter(({ table }) => !plan.has(qualifiedName(table)));
  }
  return plan;
}

interface Known {
  readonly tables: readonly SourceTable[];
  /** The rules of the tables that have their column, or will have it. */
  readonly routed: ReadonlyMap<string, RouteBy>;
  readonly plan: KeyColumnPlan;
}

function waysOf(table: SourceTable, rule: RouteBy, { tables, routed, plan }: Known): KeyColumn[] {
  const name = rule.columns[0]!;
  return table.foreignKeys.flatMap((foreignKey): KeyColumn[] => {
    const { parentSchema: schema, parentTable } = foreignKey;
    // The key that goes with a column which is being added
    if (foreignKey.columns.includes(name)) return [];
    const parent = tables.find((one) => one.schema === schema && one.name === parentTable);
    if (parent === undefined || parent === table) return [];
    if (rule.via !== undefined && ![foreignKey.name, parent.name, qualifiedName(parent)].includes(rule.via)) return [];
    const theirs = routed.get(qualifiedName(parent));
    if (theirs === undefined || theirs.key !== rule.key || theirs.columns[0] !== name || theirs.columns.length > 1) {
      return [];
    }
    const above = plan.get(qualifiedName(parent));
    const type =
      above !== undefined && 'type' in above ? above.type : parent.columns.find((column) => column.name === name)!.type;
    return [{ table, parent, foreignKey, name, type }];
  });
}

function ambiguity(table: SourceTable, ways: readonly KeyColumn[]): string {
  const names = ways.map(({ foreignKey }) => foreignKey.name).join(', ');
  return `several foreign keys lead to tables that have it (${names}): say which tells where a row belongs, with shard_by: { ${table.name}: { column: ${ways[0]!.name}, via: ${ways[0]!.foreignKey.name} } } (--via ${table.name}=${ways[0]!.foreignKey.name})`;
}

/** What must hold so that the column is right at any moment, whatever happens to child and parent. */
function refusalOf({ table, parent, foreignKey, name }: KeyColumn, plan: KeyColumnPlan): string | null {
  const way = `its foreign key ${foreignKey.name} leads to ${qualifiedName(parent)}, which has it, but`;
  const at = foreignKey.parentColumns.indexOf(name);
  if (at !== -1) {
    const own = foreignKey.columns[at]!;
    return `its column ${own} is the ${name} of ${qualifiedName(parent)}: route it by that, with shard_by: { ${table.name}: ${own} } (--by ${table.name}=${own})`;
  }
  const optional = foreignKey.columns.filter(
    (key) => table.columns.find((one) => one.name === key)?.nullable !== false,
  );
  if (optional.length > 0)
    return `${way} ${optional.join(', ')} may be NULL, and such a row belongs nowhere: set it not null, or choose another way`;
  if (parent.columns.find((column) => column.name === name)?.nullable === true && !plan.has(qualifiedName(parent)))
    return `${way} there it may be NULL, and then it would not be told when it changes: set it not null there`;
  const odd = foreignKey.columns.filter((key) => comparesElsewhere(table, key));
  if (odd.length > 0)
    return `${way} the type of ${odd.join(', ')} is compared by an extension: add the column and a trigger yourself`;
  if (foreignKey.timing !== undefined) return `${way} it is deferrable: a row may be there before the one it refers to`;
  if ([foreignKey.onDelete, foreignKey.onUpdate].includes('set default'))
    return `${way} it sets a default when that row goes, which may belong to somebody else`;
  if (table.postgres?.partitioned === true || parent.postgres?.partitioned === true)
    return `${way} one of the two is partitioned, and a foreign key with both columns cannot be added while they are used: add the column yourself`;
  return null;
}

/** Whether a column's `=` is not found in the system's own schema: the trigger looks nowhere else. */
function comparesElsewhere({ columns, postgres }: SourceTable, name: string): boolean {
  const type = columns.find((column) => column.name === name)!.type.replace(/ collate .*/, '');
  return type.includes('.') && !postgres!.types.some((own) => type.endsWith(`.${own.name}`));
}
