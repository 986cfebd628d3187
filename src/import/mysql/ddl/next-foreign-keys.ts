import { qualifiedName, type SourceForeignKey, type SourceTable } from '../../model/source-table.ts';
import type { AlterAction } from './alter-actions.ts';
import type { CreateDefinition } from './create-definition.ts';
import { sameName } from './tokens.ts';

/**
 * The foreign keys after ALTER TABLE. Taken from the statement and not from information_schema, which may know of later
 * ones: a key that changes rows by itself has to be known from where it was made to where it was dropped, exactly.
 */
export function alteredForeignKeys(
  before: SourceTable,
  actions: readonly AlterAction[],
  current: SourceTable | null,
): readonly SourceForeignKey[] {
  if (current !== null && actions.some(({ kind }) => kind === 'unknown')) return current.foreignKeys;
  let keys: readonly SourceForeignKey[] = before.foreignKeys;
  for (const action of actions) {
    switch (action.kind) {
      case 'add-foreign-key':
        keys = [...keys, action.definition];
        break;
      case 'drop-foreign-key':
        keys = keys.filter(({ name }) => !sameName(name, action.name));
        break;
      case 'drop':
        keys = keys.filter(({ columns }) => !columns.some((column) => sameName(column, action.column)));
        break;
      case 'change':
        keys = withColumn(keys, before, action.column, action.definition.column.name);
        break;
      case 'rename-column':
        keys = withColumn(keys, before, action.column, action.to);
        break;
      case 'rename-table':
        keys = keys.map((key) => withParentTable(key, before, action.to));
        break;
      default:
    }
  }
  return keys.map((key) => named(key, keys, before, current));
}

/** The foreign keys of CREATE TABLE. Not every server heeds those in a column's definition: only what is there counts. */
export function createdForeignKeys(
  table: SourceTable,
  { columns, foreignKeys }: CreateDefinition,
  current: SourceTable | null,
): readonly SourceForeignKey[] {
  const inline = columns.flatMap(({ references }) => (references === null ? [] : [references]));
  return foreignKeys
    .filter(
      (key) => current === null || !inline.includes(key) || current.foreignKeys.some((other) => isSame(key, other)),
    )
    .map((key, _, all) => named(key, all, table, current));
}

/** A key of a child whose parent was renamed, or had a column renamed; the same object when it has nothing to do with it. */
export function withRenamedParent(
  key: SourceForeignKey,
  before: SourceTable,
  after: SourceTable,
  renamed: ReadonlyMap<string, string>,
): SourceForeignKey {
  if (key.parentSchema !== before.schema || !sameName(key.parentTable, before.name)) return key;
  const parentColumns = key.parentColumns.map((name) => renamed.get(name) ?? name);
  if (before.name === after.name && parentColumns.every((name, index) => name === key.parentColumns[index])) return key;
  return { ...withParentTable(key, before, after), parentColumns };
}

function withParentTable(
  key: SourceForeignKey,
  before: SourceTable,
  to: { readonly schema: string; readonly name: string },
): SourceForeignKey {
  if (key.parentSchema !== before.schema || !sameName(key.parentTable, before.name)) return key;
  return { ...key, parentSchema: to.schema, parentTable: to.name };
}

function withColumn(
  keys: readonly SourceForeignKey[],
  { schema, name: table }: SourceTable,
  from: string,
  to: string,
): readonly SourceForeignKey[] {
  const rename = (names: readonly string[]): string[] => names.map((name) => (sameName(name, from) ? to : name));
  return keys.map((key) => {
    const toItself = key.parentSchema === schema && sameName(key.parentTable, table);
    return {
      ...key,
      columns: rename(key.columns),
      parentColumns: toItself ? rename(key.parentColumns) : key.parentColumns,
    };
  });
}

/** The server's name for a key that the statement gave none: information_schema's, else made by the server's rule. */
function named(
  key: SourceForeignKey,
  all: readonly SourceForeignKey[],
  table: SourceTable,
  current: SourceTable | null,
): SourceForeignKey {
  const known = current?.foreignKeys.find((other) => isSame(key, other));
  if (known !== undefined) return { ...key, name: known.name };
  if (key.name !== '') return key;
  const nameless = all.filter(({ name }) => name === '').indexOf(key);
  const numbers = all.map(({ name }) => Number(/_ibfk_(\d+)$/.exec(name)?.[1] ?? 0));
  return { ...key, name: `${table.name}_ibfk_${Math.max(0, ...numbers) + 1 + nameless}` };
}

function isSame(a: SourceForeignKey, b: SourceForeignKey): boolean {
  const text = (key: SourceForeignKey): string => {
    const parent = qualifiedName({ schema: key.parentSchema, name: key.parentTable });
    const actions = [key.onDelete, key.onUpdate].map((action) => (action === 'no action' ? 'restrict' : action));
    return [key.columns.join(), parent, key.parentColumns.join(), ...actions].join(' ').toLowerCase();
  };
  return text(a) === text(b);
}
