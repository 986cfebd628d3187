import type { MappingOptions } from '../mapping/map-table.ts';
import { UnmappableTable } from '../mapping/map-table.ts';
import { qualifiedName, type SourceColumn, type SourceTable } from '../model/source-table.ts';
import type { RowIdentity, TargetColumn, TargetTable } from '../model/target-table.ts';

/** A Postgres table looks in the target as it does in the source; what stays behind is remarked. */
export function mapPostgresTable(source: SourceTable, schema: string, options: MappingOptions): TargetTable {
  const origin = source.postgres!;
  const refusals = [...origin.refusals];
  if (origin.unlogged) {
    refusals.push('it is unlogged, so its changes are in no log: alter table … set logged, or leave it out');
  }
  if (source.columns.every(({ generated }) => generated !== null)) refusals.push('it has no column that can be copied');
  if (refusals.length > 0) throw new UnmappableTable(qualifiedName(source), refusals);
  const columns = source.columns.map((column) => mapColumn(source, column, options));
  return {
    schema,
    name: source.name,
    columns,
    primaryKey: source.primaryKey,
    identity: rowIdentity(source),
    indexes: source.indexes.map(({ name, unique, columns: parts, statement }) => ({
      name,
      unique,
      columns: parts,
      statement,
    })),
    checks: source.checks,
    comment: source.comment,
    remarks: remarksOf(source),
    needs: { types: origin.types, extensions: origin.extensions, functions: origin.functions },
  };
}

function mapColumn(table: SourceTable, column: SourceColumn, { overrides }: MappingOptions): TargetColumn {
  const override = overrides[column.type];
  const applies =
    override !== undefined && (override.tables.includes('*') || override.tables.includes(qualifiedName(table)));
  return {
    name: column.name,
    type: applies ? override.to : column.type,
    form: 'plain',
    nullable: column.nullable,
    default: column.default === null ? null : column.default.text,
    identity: column.autoIncrement,
    generated: column.generated,
    ...(column.postgres!.virtual && { virtual: true }),
    enumeration: null,
    comment: column.comment,
    policy: { kind: 'error' },
  };
}

/** What the log tells rows apart by, so far as it is also unique; else the whole row. */
function rowIdentity({ postgres, primaryKey, columns, indexes }: SourceTable): RowIdentity {
  const { replicaIdentity, identityColumns } = postgres!;
  if (replicaIdentity === 'key' || replicaIdentity === 'index') return { kind: 'key', columns: identityColumns };
  if (primaryKey.length > 0) return { kind: 'key', columns: primaryKey };
  const required = (name: string): boolean =>
    columns.some((column) => column.name === name && !column.nullable && column.generated === null);
  const index = indexes.find(
    (candidate) =>
      candidate.unique && candidate.columns.length > 0 && candidate.columns.every(({ name }) => required(name)),
  );
  if (index !== undefined) return { kind: 'key', columns: index.columns.map(({ name }) => name) };
  return { kind: 'whole-row' };
}

function remarksOf({ postgres }: SourceTable): string[] {
  return postgres!.partitioned
    ? [
        'it is partitioned and becomes one table in each place; that one partition is truncated no log tells: delete its rows',
      ]
    : [];
}
