import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import type { TargetColumn, TargetIndex, TargetTable } from '../model/target-table.ts';
import { changeType } from './change-type.ts';
import {
  checkStatements,
  columnDefinition,
  createEnumStatements,
  defaultSql,
  indexStatement,
  primaryKeyName,
  primaryKeyStatements,
  typeSql,
} from './create-table.ts';
import { SCHEMA } from './run-statements.ts';

export { UnfollowableChange } from './change-type.ts';

/** What an added column holds in the rows that were there before: an SQL expression. */
export type BackfillOf = (column: TargetColumn) => string | null;

/**
 * The statements that turn one structure into another.
 *
 * @param renamed - old column name → new name, of columns that stay
 * @param backfill - the value that the source gave an added NOT NULL column in existing rows
 * @throws UnfollowableChange when existing rows changed in a way that only the source knows
 */
export function changeTableStatements(
  before: TargetTable,
  after: TargetTable,
  renamed: ReadonlyMap<string, string>,
  backfill: BackfillOf,
): string[] {
  const statements: string[] = [];
  const place = (name: string): string => `${SCHEMA}.${quoteIdentifier(name)}`;
  const table = place(before.name);
  const alter = (what: string): void => {
    statements.push(`alter table ${table} ${what}`);
  };
  const pairs = matchIndexes(before, after, renamed);
  for (const index of before.indexes) {
    if (!pairs.has(index)) statements.push(`drop index if exists ${place(index.name)}`);
  }
  const sameKey = before.primaryKey.map((name) => renamed.get(name)).join('\0') === after.primaryKey.join('\0');
  if (!sameKey && before.primaryKey.length > 0)
    alter(`drop constraint if exists ${quoteIdentifier(primaryKeyName(before.name))}`);
  for (const { name } of before.checks) {
    if (!after.checks.some((check) => check.name === name)) alter(`drop constraint if exists ${quoteIdentifier(name)}`);
  }
  for (const column of before.columns) {
    if (renamed.has(column.name)) continue;
    alter(`drop column ${quoteIdentifier(column.name)}`);
    if (column.enumeration !== null) statements.push(`drop type if exists ${place(column.enumeration.name)}`);
  }
  statements.push(...renameStatements(table, renamed));
  for (const [oldName, newName] of renamed) {
    const old = before.columns.find(({ name }) => name === oldName)!;
    const column = after.columns.find(({ name }) => name === newName);
    if (column !== undefined) statements.push(...changeColumn(table, after, old, column));
  }
  const kept = new Set(renamed.values());
  for (const column of after.columns)
    if (!kept.has(column.name)) statements.push(...addColumn(table, after, column, backfill));
  if (before.name !== after.name) {
    alter(`rename to ${quoteIdentifier(after.name)}`);
    if (sameKey && after.primaryKey.length > 0)
      statements.push(renameIndex(primaryKeyName(before.name), primaryKeyName(after.name)));
  }
  if (!sameKey) statements.push(...primaryKeyStatements(after));
  for (const [old, index] of pairs) if (old.name !== index.name) statements.push(renameIndex(old.name, index.name));
  const matched = new Set(pairs.values());
  for (const index of after.indexes) if (!matched.has(index)) statements.push(indexStatement(after, index));
  statements.push(
    ...checkStatements({
      ...after,
      checks: after.checks.filter(({ name }) => !before.checks.some((old) => old.name === name)),
    }),
  );
  if (before.comment !== after.comment)
    statements.push(`comment on table ${place(after.name)} is ${literalOrNull(after.comment)}`);
  return statements;
}

/** Swapped names need a stop-over. */
function renameStatements(table: string, renamed: ReadonlyMap<string, string>): string[] {
  const moves = [...renamed].filter(([from, to]) => from !== to);
  const taken = new Set(renamed.keys());
  const crosses = moves.some(([, to]) => taken.has(to));
  const rename = (from: string, to: string): string =>
    `alter table ${table} rename column ${quoteIdentifier(from)} to ${quoteIdentifier(to)}`;
  if (!crosses) return moves.map(([from, to]) => rename(from, to));
  return [
    ...moves.map(([from], n) => rename(from, `hv_rename_${n}`)),
    ...moves.map(([, to], n) => rename(`hv_rename_${n}`, to)),
  ];
}

function addColumn(table: string, target: TargetTable, column: TargetColumn, backfill: BackfillOf): string[] {
  const quoted = quoteIdentifier(column.name);
  const filled = backfill(column);
  const wanted = defaultSql(target, column);
  const comment =
    column.comment === '' ? [] : [`comment on column ${table}.${quoted} is ${literalOrNull(column.comment)}`];
  const types = createEnumStatements(column);
  if (filled === null || filled === wanted) {
    return [...types, `alter table ${table} add column ${columnDefinition(target, column)}`, ...comment];
  }
  // The rows that are there get the source's value, those to come the declared default
  const cast = column.enumeration === null ? filled : `${filled}::${typeSql(column)}`;
  const definition = `${quoted} ${typeSql(column)} default ${cast}${column.nullable ? '' : ' not null'}`;
  const after = column.identity
    ? [
        `alter table ${table} alter column ${quoted} drop default`,
        `alter table ${table} alter column ${quoted} add generated by default as identity`,
      ]
    : [`alter table ${table} alter column ${quoted} ${wanted === null ? 'drop default' : `set default ${wanted}`}`];
  return [...types, `alter table ${table} add column ${definition}`, ...after, ...comment];
}

function changeColumn(table: string, target: TargetTable, old: TargetColumn, column: TargetColumn): string[] {
  const quoted = quoteIdentifier(column.name);
  const statements: string[] = [];
  const alter = (what: string): void => {
    statements.push(`alter table ${table} alter column ${quoted} ${what}`);
  };
  if (old.identity && !column.identity) alter('drop identity if exists');
  const typeChanges =
    old.type !== column.type || labelsOf(old) !== labelsOf(column) || enumName(old) !== enumName(column);
  if (typeChanges) statements.push(...changeType(table, old, column));
  if (old.nullable && !column.nullable) alter('set not null');
  if (!old.nullable && column.nullable) alter('drop not null');
  const wanted = defaultSql(target, column);
  if (
    !column.identity &&
    column.generated === null &&
    (old.default !== column.default || typeChanges || old.identity)
  ) {
    alter(wanted === null ? 'drop default' : `set default ${wanted}`);
  }
  if (!old.identity && column.identity) {
    alter('drop default');
    alter('add generated by default as identity');
  }
  if (old.comment !== column.comment)
    statements.push(`comment on column ${table}.${quoted} is ${literalOrNull(column.comment)}`);
  return statements;
}

const enumName = ({ enumeration }: TargetColumn): string => enumeration?.name ?? '';
const labelsOf = ({ enumeration }: TargetColumn): string => enumeration?.labels.join('\0') ?? '';

/** Which old index lives on as which new one: those with the same columns, whatever they are called. */
function matchIndexes(
  before: TargetTable,
  after: TargetTable,
  renamed: ReadonlyMap<string, string>,
): Map<TargetIndex, TargetIndex> {
  const left = [...after.indexes];
  const pairs = new Map<TargetIndex, TargetIndex>();
  for (const old of before.indexes) {
    const found = left.findIndex((index) => sameIndex(old, index, renamed));
    if (found !== -1) pairs.set(old, left.splice(found, 1)[0]!);
  }
  return pairs;
}

function sameIndex(old: TargetIndex, index: TargetIndex, renamed: ReadonlyMap<string, string>): boolean {
  if (old.unique !== index.unique || old.columns.length !== index.columns.length) return false;
  return old.columns.every((part, n) => {
    const other = index.columns[n]!;
    return (
      renamed.get(part.name) === other.name && part.prefix === other.prefix && part.descending === other.descending
    );
  });
}

function renameIndex(from: string, to: string): string {
  return `alter index if exists ${SCHEMA}.${quoteIdentifier(from)} rename to ${quoteIdentifier(to)}`;
}

function literalOrNull(text: string): string {
  return text === '' ? 'null' : quoteLiteral(text).trim();
}
