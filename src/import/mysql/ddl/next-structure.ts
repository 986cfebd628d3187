import { parseMysqlType } from '../../mapping/mysql-type.ts';
import type { SourceColumn, SourceTable } from '../../model/source-table.ts';
import type { AlterAction, ColumnPlace } from './alter-actions.ts';
import type { CreateDefinition } from './create-definition.ts';
import { alteredForeignKeys, createdForeignKeys } from './next-foreign-keys.ts';
import { sameName as same, type TableName } from './tokens.ts';

/** A table's structure after a statement, and how its columns came out of the old ones. */
export interface NextStructure {
  readonly table: SourceTable;
  /** Old name → new name, of columns that stayed. */
  readonly renamed: ReadonlyMap<string, string>;
}

/**
 * The structure after ALTER TABLE.
 *
 * `current` is what information_schema says now, which may be later than the statement: it is believed for whatever
 * does not contradict the statement, and the statement itself for the rest.
 */
export function alteredStructure(
  before: SourceTable,
  actions: readonly AlterAction[],
  current: SourceTable | null,
): NextStructure {
  let columns = [...before.columns];
  const renamed = new Map(before.columns.map(({ name }) => [name, name]));
  const rename = (from: string, to: string): void => {
    for (const [old, name] of renamed) if (name === from) renamed.set(old, to);
  };
  let primaryKey = [...before.primaryKey];
  let name: TableName = before;
  for (const action of actions) {
    switch (action.kind) {
      case 'add': {
        const column = settledColumn(action.definition.column, current);
        if (columns.some((other) => same(other.name, column.name))) break;
        columns = placed(columns, column, action.place);
        if (action.definition.primaryKey) primaryKey = [column.name];
        break;
      }
      case 'drop':
        columns = columns.filter((column) => !same(column.name, action.column));
        for (const [old, kept] of renamed) if (same(kept, action.column)) renamed.delete(old);
        primaryKey = primaryKey.filter((column) => !same(column, action.column));
        break;
      case 'change': {
        const old = columns.find((column) => same(column.name, action.column));
        if (old === undefined) break;
        const column = settledColumn(action.definition.column, current);
        if (action.place === null) columns = columns.map((other) => (other === old ? column : other));
        else
          columns = placed(
            columns.filter((other) => other !== old),
            column,
            action.place,
          );
        rename(old.name, column.name);
        primaryKey = primaryKey.map((key) => (key === old.name ? column.name : key));
        if (action.definition.primaryKey) primaryKey = [column.name];
        break;
      }
      case 'rename-column': {
        const old = columns.find((column) => same(column.name, action.column));
        if (old === undefined) break;
        columns = columns.map((other) => (other === old ? { ...old, name: action.to } : other));
        rename(old.name, action.to);
        primaryKey = primaryKey.map((key) => (key === old.name ? action.to : key));
        break;
      }
      case 'default':
        columns = columns.map((column) =>
          same(column.name, action.column) ? { ...column, default: action.definition } : column,
        );
        break;
      case 'rename-table':
        name = action.to;
        break;
      default:
    }
  }
  const table = { ...before, schema: name.schema, name: name.name, columns, primaryKey };
  const foreignKeys = alteredForeignKeys(before, actions, current);
  return { table: { ...withCurrentKeys(table, current), foreignKeys }, renamed };
}

/** The structure of CREATE TABLE: information_schema's when its columns are the statement's, else the statement's own. */
export function createdStructure(
  name: TableName,
  definition: CreateDefinition | null,
  current: SourceTable | null,
): SourceTable | null {
  if (definition === null) return current;
  const columns = definition.columns.map(({ column }) => settledColumn(column, current));
  const table: SourceTable = {
    schema: name.schema,
    name: name.name,
    columns,
    primaryKey: definition.primaryKey,
    indexes: [],
    foreignKeys: [],
    checks: [],
    comment: '',
    transactional: current?.transactional ?? true,
    estimatedRows: 0,
    estimatedBytes: 0,
    nextNumber: null,
  };
  return { ...withCurrentKeys(table, current), foreignKeys: createdForeignKeys(table, definition, current) };
}

function placed(columns: readonly SourceColumn[], column: SourceColumn, place: ColumnPlace): SourceColumn[] {
  if (place === 'first') return [column, ...columns];
  if (place === null) return [...columns, column];
  const after = columns.findIndex(({ name }) => same(name, place.after));
  return after === -1 ? [...columns, column] : columns.toSpliced(after + 1, 0, column);
}

/** Takes information_schema's word for a column when its type is the one of the statement. */
function settledColumn(parsed: SourceColumn, current: SourceTable | null): SourceColumn {
  const found = current?.columns.find(({ name }) => same(name, parsed.name));
  return found !== undefined && sameType(parsed.type, found.type) ? found : parsed;
}

function sameType(a: string, b: string): boolean {
  const [left, right] = [parseMysqlType(a), parseMysqlType(b)];
  const json = (name: string): string => (name === 'json' ? 'longtext' : name);
  if (json(left.name) !== json(right.name) || left.unsigned !== right.unsigned) return false;
  if (left.labels.join('\0') !== right.labels.join('\0')) return false;
  // The display width of whole numbers says nothing, and information_schema adds it
  const numbered = /^(decimal|char|varchar|binary|varbinary|bit|datetime|timestamp|time)$/.test(left.name);
  return !numbered || numbersOf(left) === numbersOf(right);
}

function numbersOf({ name, numbers }: { readonly name: string; readonly numbers: readonly number[] }): string {
  if (name === 'decimal') return `${numbers[0] ?? 10},${numbers[1] ?? 0}`;
  const implied = /^(char|binary|bit)$/.test(name) ? 1 : 0;
  return String(numbers[0] ?? implied);
}

/** Keys, indexes, checks and the comment come from information_schema when its columns are these; else those that still fit. */
function withCurrentKeys(table: SourceTable, current: SourceTable | null): SourceTable {
  const names = new Set(table.columns.map(({ name }) => name));
  const matches =
    current !== null && current.columns.length === names.size && current.columns.every(({ name }) => names.has(name));
  if (matches) {
    const { primaryKey, indexes, checks, comment, transactional } = current;
    return {
      ...table,
      columns: table.columns.map((column) => withComment(column, current)),
      primaryKey,
      indexes,
      checks,
      comment,
      transactional,
    };
  }
  return {
    ...table,
    primaryKey: table.primaryKey.every((name) => names.has(name)) ? table.primaryKey : [],
    indexes: table.indexes.filter(({ columns }) => columns.every(({ name }) => names.has(name))),
  };
}

/** NOT NULL that follows from a key, and the like, is in no statement. */
function withComment(column: SourceColumn, current: SourceTable): SourceColumn {
  const found = current.columns.find(({ name }) => name === column.name);
  return found !== undefined && sameType(found.type, column.type) ? found : column;
}
