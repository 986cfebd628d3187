import { quoteLiteral } from '../../../internal/quote.ts';
import { changeTableStatements, UnfollowableChange } from '../../ddl/change-table.ts';
import { ensureTypeStatements } from '../../ddl/user-types.ts';
import type { SourceColumn, SourceTable } from '../../model/source-table.ts';
import type { TargetColumn, TargetTable } from '../../model/target-table.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { Relation, RelationColumn } from './pgoutput.ts';

/** Whether a table is still as we know it. */
export function isSameShape({ schema, name, columns }: Relation, { source }: FollowedTable): boolean {
  if (schema !== source.schema || name !== source.name) return false;
  const plain = source.columns.filter(({ generated }) => generated === null);
  return plain.length === columns.length && columns.every((column, n) => isSameColumn(column, plain[n]!));
}

function isSameColumn(column: RelationColumn, known: SourceColumn): boolean {
  return known.name === column.name && isSameType(column, known);
}

function isSameType({ typeOid, typmod }: RelationColumn, { postgres }: SourceColumn): boolean {
  return postgres!.typeOid === typeOid && postgres!.typmod === typmod;
}

/** A table after a change of its structure, and the statements that make the change here. */
export interface NextStructure {
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly statements: readonly string[];
}

/**
 * What a relation message and the catalogue of now together say of a change. The message is how the table was when the
 * rows that follow were written; the catalogue may be further on.
 *
 * @param map - how a table of the source looks in the target
 * @throws UnfollowableChange when rows that were there may have changed in a way that no log tells
 */
export function nextStructure(
  relation: Relation,
  table: FollowedTable,
  now: SourceTable,
  map: (source: SourceTable) => TargetTable,
): NextStructure {
  const { source, target } = table;
  refuseOtherOrder(relation, now);
  const renamed = new Map<string, string>();
  const isRewritten = source.postgres!.storage !== now.postgres!.storage;
  const columns = relation.columns.map((column) => {
    const current = now.columns.find(({ name }) => name === column.name);
    const known = knownColumn(column, source, current);
    if (known !== undefined) renamed.set(known.name, column.name);
    if (known !== undefined && isSameType(column, known)) return sameColumn(known, column.name, current, isRewritten);
    if (current === undefined || !isSameType(column, current)) {
      throw new UnfollowableChange(
        `the column ${column.name} has changed again since; how it was is not known any more`,
      );
    }
    const kept = source.postgres!.storage === now.postgres!.storage && now.postgres!.storage !== '0';
    if (known !== undefined && !kept) {
      throw new UnfollowableChange(
        `the column ${column.name} became ${current.type}, and its rows were written anew with values that no log tells`,
      );
    }
    if (known === undefined && !kept && current.default !== null && current.postgres!.missing === null) {
      throw new UnfollowableChange(`the column ${column.name} was added with values that no log tells`);
    }
    return current;
  });
  // Generated columns are in no message
  for (const column of source.columns) {
    if (column.generated === null) continue;
    renamed.set(column.name, column.name);
    columns.push(column);
  }
  const follow = (name: string): string => renamed.get(name) ?? name;
  const nextSource: SourceTable = {
    ...source,
    schema: relation.schema,
    name: relation.name,
    columns,
    primaryKey: source.primaryKey.map(follow),
    postgres: { ...now.postgres!, identityColumns: source.postgres!.identityColumns.map(follow) },
  };
  const mapped = map(nextSource);
  const nextTarget: TargetTable = {
    ...target,
    name: source.name === relation.name ? target.name : relation.name,
    columns: columns.map(({ name }) => targetColumn(name, source, target, mapped, renamed, columns)),
    primaryKey: target.primaryKey.map(follow),
    identity:
      target.identity.kind === 'key' ? { kind: 'key', columns: target.identity.columns.map(follow) } : target.identity,
    ...(mapped.needs !== undefined && { needs: mapped.needs }),
  };
  const statements = changeTableStatements(target, nextTarget, renamed, (column) => backfill(column, nextSource));
  return {
    source: nextSource,
    target: nextTarget,
    statements: [...ensureTypeStatements(nextTarget.needs), ...statements],
  };
}

function sameColumn(
  known: SourceColumn,
  name: string,
  current: SourceColumn | undefined,
  isRewritten: boolean,
): SourceColumn {
  const changed = current?.postgres?.changed;
  const before = known.postgres!;
  if (isRewritten && before.missing === null && before.changed !== undefined && changed !== before.changed)
    throw new UnfollowableChange(
      `the column ${name} was changed and the rows written anew, with values that no log tells`,
    );
  return { ...known, name, postgres: { ...known.postgres!, changed } };
}

/** A message names columns in the order of their numbers; where the catalogue has another, names went round since. */
function refuseOtherOrder(relation: Relation, now: SourceTable): void {
  let last = 0;
  for (const { name } of relation.columns) {
    const attnum = now.columns.find((column) => column.name === name)?.postgres?.attnum;
    if (attnum === undefined) continue;
    if (attnum < last)
      throw new UnfollowableChange(`the column ${name} has changed again since; how it was is not known any more`);
    last = attnum;
  }
}

/** The column as we know it: by its name, else by its place when it was renamed. */
function knownColumn(
  { name }: RelationColumn,
  source: SourceTable,
  current: SourceColumn | undefined,
): SourceColumn | undefined {
  const same = source.columns.find((column) => column.name === name);
  if (current === undefined) return same;
  const { attnum } = current.postgres!;
  return source.columns.find((column) => column.postgres!.attnum === attnum);
}

/** A column whose type stayed keeps what it has here: it may have been widened for the shards. */
function targetColumn(
  name: string,
  source: SourceTable,
  target: TargetTable,
  mapped: TargetTable,
  renamed: ReadonlyMap<string, string>,
  columns: readonly SourceColumn[],
): TargetColumn {
  const oldName = [...renamed].find(([, to]) => to === name)?.[0];
  const old = target.columns.find((column) => column.name === oldName);
  const before = source.columns.find((column) => column.name === oldName);
  const after = columns.find((column) => column.name === name)!;
  if (old !== undefined && before?.type === after.type) return { ...old, name };
  return mapped.columns.find((column) => column.name === name)!;
}

/** What rows that were there hold in an added column. */
function backfill(column: TargetColumn, source: SourceTable): string | null {
  const { postgres, default: value } = source.columns.find(({ name }) => name === column.name)!;
  if (postgres!.missing !== null) return `${quoteLiteral(postgres!.missing).trim()}::${column.type}`;
  return value === null ? null : 'null';
}
