import type { SourceColumn, SourceTable } from '../model/source-table.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { RowIdentity, TargetColumn, TargetIndex, TargetTable } from '../model/target-table.ts';
import { translateDefault } from './column-default.ts';
import { translateExpression } from './expression.ts';
import { parseMysqlType } from './mysql-type.ts';
import { fitName } from './names.ts';
import { overriddenForm, type TypeChoice, type TypeOptions, targetTypeOf } from './target-type.ts';
import { policyFor, type ValuePolicies } from './value-policy.ts';

/** `type_override` of the configuration, by full source type: `tinyint(1)` → boolean. */
export interface TypeOverride {
  readonly to: string;
  /** `schema.table` names, or `*` for all. */
  readonly tables: readonly string[];
}

export interface MappingOptions extends TypeOptions {
  readonly overrides: Readonly<Record<string, TypeOverride>>;
  readonly valuePolicies: ValuePolicies;
  /** Whether generated columns stay generated (their expression must be one we can translate). */
  readonly keepGenerated: boolean;
}

/** Says how a table shall look in Postgres, or throws {@link UnmappableTable} with every reason why it cannot. */
export function mapTable(
  source: SourceTable,
  schema: string,
  options: MappingOptions,
  name = source.name,
): TargetTable {
  const refusals: string[] = [];
  const remarks: string[] = [];
  const columns: TargetColumn[] = [];
  for (const column of source.columns) {
    const mapped = mapColumn(source, column, name, options);
    if (typeof mapped === 'string') refusals.push(mapped);
    else {
      columns.push(mapped.column);
      remarks.push(...mapped.remarks);
    }
  }
  if (refusals.length > 0) throw new UnmappableTable(qualifiedName(source), refusals);
  const primaryKey = source.primaryKey;
  return {
    schema,
    name,
    columns,
    primaryKey,
    identity: identityOf(source, columns),
    indexes: mapIndexes(source, name, columns, remarks),
    checks: mapChecks(source, name, remarks),
    comment: source.comment,
    remarks,
  };
}

/** Why a table cannot be mapped: one sentence per column. */
export class UnmappableTable extends Error {
  readonly table: string;
  readonly reasons: readonly string[];

  constructor(table: string, reasons: readonly string[]) {
    super(`${table}: ${reasons.join('; ')}`);
    this.name = 'UnmappableTable';
    this.table = table;
    this.reasons = reasons;
  }
}

function mapColumn(
  table: SourceTable,
  column: SourceColumn,
  targetName: string,
  options: MappingOptions,
): { column: TargetColumn; remarks: string[] } | string {
  const natural = targetTypeOf(column, options);
  if (natural === null) {
    return `column ${column.name} has the type ${column.type}, which is not known; leave the table out with skip_tables`;
  }
  const choice = overridden(table, column, natural, options);
  if (typeof choice === 'string') return choice;
  const remarks: string[] = [];
  const translated = translateDefault(column, choice.form);
  if (translated.remark !== null) remarks.push(translated.remark);
  let generated: string | null = null;
  if (column.generated !== null && options.keepGenerated) {
    generated = translateExpression(column.generated);
    if (generated === null) {
      remarks.push(`generated column ${column.name} became a plain one: ${column.generated} could not be translated`);
    }
  }
  const policy = policyFor(table, column, choice.form, options.valuePolicies);
  const type = parseMysqlType(column.type);
  const isEnum = choice.type === 'enum';
  return {
    remarks,
    column: {
      name: column.name,
      type: choice.type,
      form: choice.form,
      nullable: column.nullable || policy.kind === 'null',
      default: translated.sql,
      identity: column.autoIncrement,
      generated,
      enumeration: isEnum ? { name: fitName('enum', targetName, column.name), labels: type.labels } : null,
      comment: column.comment,
      policy,
    },
  };
}

function overridden(
  table: SourceTable,
  column: SourceColumn,
  natural: TypeChoice,
  options: MappingOptions,
): TypeChoice | string {
  const override = options.overrides[column.type] ?? options.overrides[column.type.toLowerCase()];
  if (override === undefined) return natural;
  if (!override.tables.includes('*') && !override.tables.includes(qualifiedName(table))) return natural;
  const form = overriddenForm(column, override.to, natural);
  if (form === null)
    return `column ${column.name} (${column.type}) cannot be written as ${override.to}; change type_override`;
  return { type: override.to, form };
}

/** The primary key, else the first unique key that has only whole NOT NULL columns, else the whole row. */
function identityOf(source: SourceTable, columns: readonly TargetColumn[]): RowIdentity {
  if (source.primaryKey.length > 0) return { kind: 'key', columns: source.primaryKey };
  for (const index of source.indexes) {
    if (!index.unique || index.kind !== 'btree') continue;
    const usable = index.columns.every(({ name, prefix }) => {
      const column = columns.find((candidate) => candidate.name === name);
      return prefix === null && column !== undefined && !column.nullable;
    });
    if (usable) return { kind: 'key', columns: index.columns.map(({ name }) => name) };
  }
  return { kind: 'whole-row' };
}

function mapIndexes(
  source: SourceTable,
  targetName: string,
  columns: readonly TargetColumn[],
  remarks: string[],
): TargetIndex[] {
  const indexes: TargetIndex[] = [];
  for (const index of source.indexes) {
    if (index.kind !== 'btree') {
      remarks.push(`the ${index.kind} index ${index.name} was left out`);
      continue;
    }
    const parts = index.columns.map(({ name, prefix, descending }) => {
      const column = columns.find((candidate) => candidate.name === name);
      return { name, prefix, descending, json: column?.form === 'json', form: column?.form };
    });
    if (parts.some((part) => part.json || part.form === 'ewkb')) {
      remarks.push(`the index ${index.name} was left out: Postgres cannot sort one of its columns`);
      continue;
    }
    indexes.push({
      name: fitName(targetName, index.name),
      unique: index.unique,
      columns: parts.map(({ name, prefix, descending }) => ({ name, prefix, descending })),
    });
  }
  return indexes;
}

function mapChecks(source: SourceTable, targetName: string, remarks: string[]): TargetTable['checks'] {
  const checks: { name: string; expression: string }[] = [];
  for (const check of source.checks) {
    if (/^\s*json_valid\(`[^`]*`\)\s*$/i.test(check.expression)) continue;
    const expression = translateExpression(check.expression);
    if (expression === null)
      remarks.push(`the check ${check.name} was left out: ${check.expression} could not be translated`);
    else checks.push({ name: fitName(targetName, check.name), expression });
  }
  return checks;
}
