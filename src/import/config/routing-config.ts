import { ConfigurationError } from '../../errors.ts';
import type { RawSection } from './raw.ts';

/** The routing key of a row: a column's value, or what a function makes of some columns' values (as text). */
export interface RouteBy {
  readonly columns: readonly string[];
  /** @default the value of the only column */
  readonly key: ((...values: (string | null)[]) => string) | null;
  /** Where a table without the column has it from: the parent, or the foreign key to it, by name. */
  readonly via?: string | undefined;
}

/** How tables are spread over the shards (`shard_by`, `reference_tables`, `reference_schema`). */
export interface RoutingConfig {
  /** By `schema.table`, `table`, or `*` for every table that has the column. */
  readonly by: Readonly<Record<string, RouteBy>>;
  /** Tables of which each server gets a whole copy; `*`: every table that `by` says nothing about. */
  readonly referenceTables: readonly string[];
  /** The schema that holds reference tables on each server. @default the target schema of schema_mappings */
  readonly referenceSchema: string | null;
}

export function parseRouting(raw: RawSection): RoutingConfig | null {
  const value = raw.get('shard_by');
  const referenceTables = raw.list('reference_tables');
  if (value === undefined) {
    if (referenceTables.length > 0) throw new ConfigurationError(`${raw.where}.reference_tables needs shard_by`);
    return null;
  }
  const entries = typeof value === 'string' ? { '*': value } : value;
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries))
    throw raw.wrong('shard_by', 'a section "table: column"');
  const by: Record<string, RouteBy> = {};
  for (const [table, rule] of Object.entries(entries as Record<string, unknown>))
    by[table] = parseRule(raw, table, rule);
  return { by, referenceTables, referenceSchema: raw.text('reference_schema') ?? null };
}

function parseRule(raw: RawSection, table: string, rule: unknown): RouteBy {
  if (typeof rule === 'string') return { columns: [rule], key: null };
  if (typeof rule === 'object' && rule !== null && 'columns' in rule && 'key' in rule) {
    const { columns, key } = rule as { columns: unknown; key: unknown };
    if (Array.isArray(columns) && columns.length > 0 && typeof key === 'function') {
      return { columns: columns.map(String), key: key as NonNullable<RouteBy['key']> };
    }
  }
  if (typeof rule === 'object' && rule !== null && 'column' in rule && 'via' in rule) {
    const { column, via } = rule as { column: unknown; via: unknown };
    if (typeof column === 'string' && typeof via === 'string') return { columns: [column], key: null, via };
  }
  throw new ConfigurationError(
    `${raw.where}.shard_by.${table}: give a column's name, { column, via: parent } for a table that lacks it, or in code { columns: ['a', 'b'], key: (a, b) => text }`,
  );
}
