import { type AlterAction, parseAction } from './alter-actions.ts';
import { type CreateDefinition, parseCreateDefinition } from './create-definition.ts';
import { type TableName, TokenReader } from './tokens.ts';

export type Statement =
  | {
      readonly kind: 'create';
      readonly table: TableName;
      readonly like: TableName | null;
      readonly definition: CreateDefinition | null;
    }
  | { readonly kind: 'drop'; readonly tables: readonly TableName[] }
  | { readonly kind: 'truncate'; readonly table: TableName }
  | { readonly kind: 'rename'; readonly pairs: readonly (readonly [TableName, TableName])[] }
  | { readonly kind: 'alter'; readonly table: TableName; readonly actions: readonly AlterAction[] }
  | { readonly kind: 'drop-database'; readonly schema: string }
  /** Row changes logged as a statement: somebody set binlog_format for his session. */
  | { readonly kind: 'rows-as-statement'; readonly table: TableName | null }
  | { readonly kind: 'harmless' }
  | { readonly kind: 'unknown' };

/** Words that begin a statement which changes neither rows nor tables. */
const HARMLESS =
  /^(analyze|optimize|repair|check|checksum|flush|grant|revoke|set|use|savepoint|release|reset|purge|install|uninstall|kill|lock|unlock|explain|show|do|call|handler|xa|start|begin|commit|rollback|declare|prepare|execute|deallocate)$/;
const HARMLESS_OBJECTS =
  /^(view|trigger|procedure|function|event|user|role|server|definer|algorithm|sql|package|sequence|aggregate|tablespace|logfile|database|schema|spatial|resource|undo)$/;

/**
 * Says what a statement does to tables. Not a parser of MySQL's grammar: it looks for what concerns the structure and
 * leaves the rest to information_schema. What it does not understand comes out as `unknown`, never as an error.
 *
 * @param schema - the default database of the session
 */
export function parseStatement(sql: string, schema: string): Statement {
  const reader = new TokenReader(sql);
  const verb = reader.next()?.text ?? '';
  switch (verb) {
    case 'create':
      return parseCreate(reader, schema);
    case 'alter':
      return parseAlter(reader, schema);
    case 'drop':
      return parseDrop(reader, schema);
    case 'truncate': {
      reader.accept('table');
      const table = reader.tableName(schema);
      return table === undefined ? { kind: 'unknown' } : { kind: 'truncate', table };
    }
    case 'rename':
      return parseRename(reader, schema);
    case 'insert':
    case 'replace':
    case 'update':
    case 'delete':
    case 'load':
    case 'with':
      return { kind: 'rows-as-statement', table: changedTable(reader, schema) };
    default:
      return HARMLESS.test(verb) ? { kind: 'harmless' } : { kind: 'unknown' };
  }
}

function parseCreate(reader: TokenReader, schema: string): Statement {
  reader.accept('or', 'replace');
  if (reader.accept('temporary')) return { kind: 'harmless' };
  reader.accept('online');
  if (
    reader.sees('unique') ||
    reader.sees('index') ||
    reader.sees('fulltext') ||
    reader.sees('spatial') ||
    reader.sees('vector')
  ) {
    return parseIndexStatement(reader, schema);
  }
  if (!reader.accept('table'))
    return HARMLESS_OBJECTS.test(reader.peek()?.text ?? '') ? { kind: 'harmless' } : { kind: 'unknown' };
  reader.accept('if', 'not', 'exists');
  const table = reader.tableName(schema);
  if (table === undefined) return { kind: 'unknown' };
  if (reader.accept('like')) {
    const like = reader.tableName(schema);
    return like === undefined ? { kind: 'unknown' } : { kind: 'create', table, like, definition: null };
  }
  if (reader.sees('(', 'like')) {
    reader.accept('(', 'like');
    const like = reader.tableName(schema);
    return like === undefined ? { kind: 'unknown' } : { kind: 'create', table, like, definition: null };
  }
  if (!reader.sees('(')) return { kind: 'create', table, like: null, definition: null };
  return {
    kind: 'create',
    table,
    like: null,
    definition: parseCreateDefinition(reader.sql, reader.parenthesized(), table),
  };
}

/** CREATE INDEX and DROP INDEX … ON table: the same as ALTER TABLE with a change of keys. */
function parseIndexStatement(reader: TokenReader, schema: string): Statement {
  while (!reader.done && !reader.accept('on')) reader.next();
  const table = reader.tableName(schema);
  return table === undefined ? { kind: 'unknown' } : { kind: 'alter', table, actions: [{ kind: 'keys' }] };
}

function parseDrop(reader: TokenReader, schema: string): Statement {
  if (reader.accept('temporary')) return { kind: 'harmless' };
  reader.accept('online');
  if (reader.sees('index')) return parseIndexStatement(reader, schema);
  if (reader.accept('database') || reader.accept('schema')) {
    reader.accept('if', 'exists');
    return { kind: 'drop-database', schema: reader.name() ?? '' };
  }
  if (!reader.accept('table') && !reader.accept('tables')) {
    return HARMLESS_OBJECTS.test(reader.peek()?.text ?? '') || reader.sees('prepare')
      ? { kind: 'harmless' }
      : { kind: 'unknown' };
  }
  reader.accept('if', 'exists');
  const tables = reader.splitAtCommas().map((part) => part.tableName(schema));
  return { kind: 'drop', tables: tables.filter((table) => table !== undefined) };
}

function parseRename(reader: TokenReader, schema: string): Statement {
  if (!reader.accept('table') && !reader.accept('tables')) return { kind: 'harmless' };
  reader.accept('if', 'exists');
  const pairs: [TableName, TableName][] = [];
  for (const part of reader.splitAtCommas()) {
    const from = part.tableName(schema);
    skipWait(part);
    part.accept('to');
    const to = part.tableName(schema);
    if (from === undefined || to === undefined) return { kind: 'unknown' };
    pairs.push([from, to]);
  }
  return { kind: 'rename', pairs };
}

function skipWait(reader: TokenReader): void {
  if (reader.accept('nowait')) return;
  if (reader.accept('wait')) reader.next();
}

function parseAlter(reader: TokenReader, schema: string): Statement {
  reader.accept('online');
  reader.accept('ignore');
  if (!reader.accept('table')) {
    return HARMLESS_OBJECTS.test(reader.peek()?.text ?? '') || reader.sees('instance')
      ? { kind: 'harmless' }
      : { kind: 'unknown' };
  }
  reader.accept('if', 'exists');
  const table = reader.tableName(schema);
  if (table === undefined) return { kind: 'unknown' };
  skipWait(reader);
  return { kind: 'alter', table, actions: reader.splitAtCommas().flatMap((part) => parseAction(part, schema, table)) };
}

/** The table that INSERT, UPDATE, DELETE, REPLACE or LOAD changes, as well as can be told. */
function changedTable(reader: TokenReader, schema: string): TableName | null {
  for (let token = reader.peek(); token !== undefined; token = reader.peek()) {
    const isTable = token.kind === 'quoted' || (token.kind === 'word' && !DML_WORDS.test(token.text));
    if (isTable) return reader.tableName(schema) ?? null;
    if (token.text === 'infile') reader.next();
    reader.next();
  }
  return null;
}

const DML_WORDS =
  /^(low_priority|delayed|high_priority|ignore|quick|into|from|data|local|infile|concurrent|table|replace|only|recursive)$/;
