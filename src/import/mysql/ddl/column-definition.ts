import type { SourceColumn, SourceDefault } from '../../model/source-table.ts';
import { type ForeignKeyDefinition, readReferences } from './foreign-key-clause.ts';
import type { TokenReader } from './tokens.ts';

/** A column definition taken from a statement, with what hangs on it. */
export interface ColumnDefinition {
  readonly column: SourceColumn;
  readonly primaryKey: boolean;
  readonly unique: boolean;
  /** `REFERENCES` in the definition, which MariaDB heeds and MySQL before 9 does not. */
  readonly references: ForeignKeyDefinition | null;
}

const TYPE_TAILS = new Set(['unsigned', 'signed', 'zerofill']);
const TWO_WORD_TYPES: Record<string, readonly string[]> = {
  double: ['precision'],
  character: ['varying'],
  char: ['varying', 'byte'],
  national: ['char', 'character', 'varchar'],
  long: ['varchar', 'varbinary'],
};

/**
 * Reads a column definition behind its name: type and attributes up to FIRST, AFTER, or the end.
 * @param schema - the database of its table, where a table it refers to is by default
 * @returns `null` when there is no type
 */
export function readColumnDefinition(name: string, reader: TokenReader, schema = ''): ColumnDefinition | null {
  const type = readType(reader);
  if (type === null) return null;
  const found = {
    nullable: true,
    default: null as SourceDefault | null,
    autoIncrement: false,
    generated: null as string | null,
    comment: '',
    primaryKey: false,
    unique: false,
    references: null as ForeignKeyDefinition | null,
  };
  while (!reader.done && !reader.sees('first') && !reader.sees('after')) {
    if (reader.accept('not', 'null')) found.nullable = false;
    else if (reader.accept('null')) found.nullable = true;
    else if (reader.accept('default')) found.default = readDefault(reader);
    else if (reader.accept('on', 'update')) readExpression(reader);
    else if (reader.accept('auto_increment')) found.autoIncrement = true;
    else if (reader.accept('primary', 'key') || reader.accept('primary')) found.primaryKey = true;
    else if (reader.accept('unique', 'key') || reader.accept('unique')) found.unique = true;
    else if (reader.accept('comment')) found.comment = reader.next()?.text ?? '';
    else if (reader.accept('generated', 'always', 'as') || reader.accept('as')) found.generated = textOf(reader);
    else if (reader.sees('references')) found.references = readReferences(reader, '', [name], schema);
    else if (reader.accept('check') || reader.accept('constraint')) reader.parenthesized();
    else reader.next();
  }
  if (found.primaryKey || found.autoIncrement || type.toLowerCase() === 'serial') found.nullable = false;
  const serial = type.toLowerCase() === 'serial';
  const { primaryKey, unique, references, ...rest } = found;
  return {
    column: {
      name,
      ...rest,
      type: serial ? 'bigint unsigned' : type,
      autoIncrement: rest.autoIncrement || serial,
      charset: null,
      json: type.toLowerCase() === 'json' ? true : undefined,
    },
    primaryKey,
    unique: unique || serial,
    references,
  };
}

function readType(reader: TokenReader): string | null {
  const first = reader.peek();
  if (first === undefined || first.kind !== 'word') return null;
  reader.next();
  let type = first.raw.toLowerCase();
  while ((TWO_WORD_TYPES[first.text] ?? []).some((word) => reader.sees(word))) type += ` ${reader.next()!.text}`;
  if (reader.sees('(')) {
    const inside = reader.parenthesized();
    type += `(${inside.map(({ kind, text }) => (kind === 'string' ? `'${text.replaceAll("'", "''")}'` : text)).join('')})`;
  }
  for (let token = reader.peek(); token !== undefined && TYPE_TAILS.has(token.text); token = reader.peek()) {
    type += ` ${token.text}`;
    reader.next();
  }
  return type;
}

function readDefault(reader: TokenReader): SourceDefault | null {
  const sign = reader.accept('-') ? '-' : reader.accept('+') ? '' : '';
  const token = reader.peek();
  if (token === undefined) return null;
  if (token.kind === 'string' || token.kind === 'number') {
    reader.next();
    return { kind: 'literal', text: sign + token.text };
  }
  if (token.text === 'null') {
    reader.next();
    return null;
  }
  if (token.text === 'true' || token.text === 'false') {
    reader.next();
    return { kind: 'literal', text: token.text === 'true' ? '1' : '0' };
  }
  return { kind: 'expression', text: readExpression(reader) };
}

/** `(…)`, or a function's name with or without its parentheses. */
function readExpression(reader: TokenReader): string {
  if (reader.sees('(')) return textOf(reader);
  const word = reader.next()?.raw ?? '';
  return reader.sees('(') ? `${word}(${textOf(reader)})` : word;
}

function textOf(reader: TokenReader): string {
  const inside = reader.parenthesized();
  const [first, last] = [inside[0], inside.at(-1)];
  return first === undefined || last === undefined ? '' : reader.sql.slice(first.start, last.end);
}
