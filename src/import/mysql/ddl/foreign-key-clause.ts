import type { ForeignKeyAction, SourceForeignKey } from '../../model/source-table.ts';
import { splitAtCommas, type TableName, type TokenReader } from './tokens.ts';

/** A foreign key taken from a statement. One without a name (`''`) gets the name that the server makes up. */
export type ForeignKeyDefinition = SourceForeignKey;

/**
 * Reads `[CONSTRAINT [name]] FOREIGN KEY [index] (columns) REFERENCES table (columns) [ON DELETE …] [ON UPDATE …]`.
 * @param table - the table it stands in, for the default of the parent's database
 * @returns `null` when something else stands there
 */
export function readForeignKey(part: TokenReader, { schema }: TableName): ForeignKeyDefinition | null {
  let name = '';
  if (part.accept('constraint') && !part.sees('foreign')) name = part.name() ?? '';
  if (!part.accept('foreign', 'key')) return null;
  part.accept('if', 'not', 'exists');
  if (!part.sees('(')) {
    const index = part.name() ?? '';
    if (name === '') name = index;
  }
  const columns = namesIn(part);
  return readReferences(part, name, columns, schema);
}

/** Reads from `REFERENCES` on; MariaDB takes it in a column's definition too. */
export function readReferences(
  part: TokenReader,
  name: string,
  columns: readonly string[],
  schema: string,
): ForeignKeyDefinition | null {
  if (!part.accept('references')) return null;
  const parent = part.tableName(schema);
  if (parent === undefined) return null;
  const parentColumns = namesIn(part);
  let onDelete: ForeignKeyAction = 'restrict';
  let onUpdate: ForeignKeyAction = 'restrict';
  for (;;) {
    if (part.accept('match')) part.next();
    else if (part.accept('on', 'delete')) onDelete = readAction(part);
    else if (part.accept('on', 'update')) onUpdate = readAction(part);
    else break;
  }
  return { name, columns, parentSchema: parent.schema, parentTable: parent.name, parentColumns, onDelete, onUpdate };
}

function namesIn(part: TokenReader): string[] {
  return splitAtCommas(part.sql, part.parenthesized()).map((column) => column.name() ?? '');
}

function readAction(part: TokenReader): ForeignKeyAction {
  if (part.accept('cascade')) return 'cascade';
  if (part.accept('set', 'null')) return 'set null';
  if (part.accept('set', 'default')) return 'set default';
  if (part.accept('no', 'action')) return 'no action';
  part.accept('restrict');
  return 'restrict';
}
