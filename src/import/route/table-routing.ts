import type { StoredRouting } from '../catalogue/table-rows.ts';
import type { RouteBy, RoutingConfig } from '../config/routing-config.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';

/** What the configuration says of a table's place, or why it says nothing. */
export type RoutingChoice =
  | { readonly routing: StoredRouting; readonly by: RouteBy | null }
  | { readonly problem: string };

/** Finds the rule of a table: by its full name, its bare name, else the one for all. */
export function chooseRouting(table: SourceTable, config: RoutingConfig | null): RoutingChoice {
  if (config === null) return { routing: { kind: 'one' }, by: null };
  const names = namesOf(table);
  const own = ownRule(table, config);
  if (own !== undefined) return checked(table, own, true);
  if (names.some((name) => config.referenceTables.includes(name))) return { routing: { kind: 'reference' }, by: null };
  const common = config.by['*'];
  if (common !== undefined && hasColumns(table, common)) return checked(table, common, false);
  if (config.referenceTables.includes('*')) return { routing: { kind: 'reference' }, by: null };
  const wanted = common === undefined ? 'no rule of shard_by fits it' : `it has no column ${common.columns.join(', ')}`;
  return {
    problem: `${wanted}: give it a rule of its own in shard_by, name it in reference_tables (each server gets all of it), or leave it out with skip_tables`,
  };
}

/** The rule that would route a table, whether it has the columns or not. */
export function ruleOf(table: SourceTable, config: RoutingConfig): RouteBy | undefined {
  return ownRule(table, config) ?? config.by['*'];
}

function ownRule(table: SourceTable, config: RoutingConfig): RouteBy | undefined {
  return namesOf(table)
    .map((name) => config.by[name])
    .find((rule) => rule !== undefined);
}

function namesOf(table: SourceTable): string[] {
  return [qualifiedName(table), table.name];
}

/** Comment of a routing column that is being added: until it is filled it says nothing of where a row belongs. */
export const UNFILLED = 'pg-hypervault is filling this column';

function hasColumns(table: SourceTable, { columns }: RouteBy): boolean {
  return columns.every((name) => table.columns.some((column) => column.name === name && column.comment !== UNFILLED));
}

function checked(table: SourceTable, rule: RouteBy, own: boolean): RoutingChoice {
  if (own && !hasColumns(table, rule))
    return { problem: `shard_by names the column ${rule.columns.join(', ')}, which it does not have` };
  return { routing: { kind: 'by', columns: rule.columns }, by: rule };
}
