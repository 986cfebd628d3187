import { type ColumnDefinition, readColumnDefinition } from './column-definition.ts';
import { splitAtCommas, type Token, TokenReader } from './tokens.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** Where an added or moved column goes. */
export type ColumnPlace = 'first' | { readonly after: string } | null;

/** One action of ALTER TABLE that we look at. */
export type AlterAction =
  | { readonly kind: 'add'; readonly definition: ColumnDefinition; readonly place: ColumnPlace }
  | { readonly kind: 'drop'; readonly column: string }
  | {
      readonly kind: 'change';
      readonly column: string;
      readonly definition: ColumnDefinition;
      readonly place: ColumnPlace;
    }
  | { readonly kind: 'rename-column'; readonly column: string; readonly to: string }
  /** SET DEFAULT, DROP DEFAULT: only information_schema is asked. */
  | { readonly kind: 'default'; readonly column: string; readonly definition: ColumnDefinition['column']['default'] }
  /** Keys, indexes, checks, comments: information_schema is asked. */
  | { readonly kind: 'keys' }
  | { readonly kind: 'rename-table'; readonly to: TableName }
  /** Rows change without being logged. */
  | { readonly kind: 'rows'; readonly what: string }
  | { readonly kind: 'unknown'; readonly text: string };

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

export interface CreateDefinition {
  readonly columns: readonly ColumnDefinition[];
  readonly primaryKey: readonly string[];
}

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
  return { kind: 'create', table, like: null, definition: parseCreateDefinition(reader.sql, reader.parenthesized()) };
}

const NOT_COLUMNS = /^(primary|unique|key|index|fulltext|spatial|vector|foreign|constraint|check|period)$/;

function parseCreateDefinition(sql: string, tokens: readonly Token[]): CreateDefinition | null {
  const columns: ColumnDefinition[] = [];
  let primaryKey: string[] = [];
  for (const part of splitAtCommas(sql, tokens)) {
    const first = part.peek()!;
    if (first.kind === 'word' && NOT_COLUMNS.test(first.text)) {
      if (part.accept('constraint') && !part.sees('primary')) part.name();
      if (part.accept('primary', 'key')) {
        while (!part.done && !part.sees('(')) part.next();
        primaryKey = splitAtCommas(sql, part.parenthesized()).map((column) => column.name() ?? '');
      }
      continue;
    }
    const name = part.name();
    const definition = name === undefined ? null : readColumnDefinition(name, part);
    if (definition === null) return null;
    if (definition.primaryKey) primaryKey = [definition.column.name];
    columns.push(definition);
  }
  return { columns, primaryKey };
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
  return { kind: 'alter', table, actions: reader.splitAtCommas().flatMap((part) => parseAction(part, schema)) };
}

const TABLE_OPTIONS =
  /^(engine|auto_increment|avg_row_length|character|charset|default|checksum|collate|comment|compression|connection|data|delay_key_write|encryption|encrypted|insert_method|key_block_size|max_rows|min_rows|pack_keys|page_checksum|page_compressed|page_compression_level|password|row_format|secondary_engine|stats_auto_recalc|stats_persistent|stats_sample_pages|tablespace|transactional|union|order|force|algorithm|lock|enable|disable|with|without|sequence|secondary_load|secondary_unload|itef_quotes|autoextend_size|period|system)$/;

function parseAction(part: TokenReader, schema: string): AlterAction[] {
  if (part.accept('add')) return parseAdd(part);
  if (part.accept('drop')) return [parseDropAction(part)];
  if (part.accept('change')) {
    part.accept('column');
    part.accept('if', 'exists');
    const column = part.name() ?? '';
    return [changeAction(column, part.name() ?? '', part)];
  }
  if (part.accept('modify')) {
    part.accept('column');
    part.accept('if', 'exists');
    const column = part.name() ?? '';
    return [changeAction(column, column, part)];
  }
  if (part.accept('alter')) return [parseAlterColumn(part)];
  if (part.accept('rename', 'column')) {
    part.accept('if', 'exists');
    const column = part.name() ?? '';
    part.accept('to');
    return [{ kind: 'rename-column', column, to: part.name() ?? '' }];
  }
  if (part.accept('rename', 'index') || part.accept('rename', 'key')) return [{ kind: 'keys' }];
  if (part.accept('rename')) {
    if (!part.accept('to')) part.accept('as');
    const to = part.tableName(schema);
    return to === undefined ? [{ kind: 'unknown', text: part.restText() }] : [{ kind: 'rename-table', to }];
  }
  if (part.sees('convert', 'to')) return [{ kind: 'keys' }];
  return [partitionAction(part)];
}

function parseAdd(part: TokenReader): AlterAction[] {
  if (part.sees('partition')) return [];
  const word = part.peek();
  if (word?.kind === 'word' && NOT_COLUMNS.test(word.text)) return [{ kind: 'keys' }];
  if (part.sees('system')) return [];
  part.accept('column');
  part.accept('if', 'not', 'exists');
  if (part.sees('(')) {
    return splitAtCommas(part.sql, part.parenthesized()).map((inner) => {
      const first = inner.peek()!;
      return first.kind === 'word' && NOT_COLUMNS.test(first.text) ? { kind: 'keys' as const } : addAction(inner);
    });
  }
  return [addAction(part)];
}

function addAction(part: TokenReader): AlterAction {
  const text = part.restText();
  const name = part.name();
  const definition = name === undefined ? null : readColumnDefinition(name, part);
  return definition === null ? { kind: 'unknown', text } : { kind: 'add', definition, place: readPlace(part) };
}

function changeAction(column: string, name: string, part: TokenReader): AlterAction {
  const text = part.restText();
  const definition = readColumnDefinition(name, part);
  return definition === null
    ? { kind: 'unknown', text }
    : { kind: 'change', column, definition, place: readPlace(part) };
}

function readPlace(part: TokenReader): ColumnPlace {
  if (part.accept('first')) return 'first';
  if (part.accept('after')) return { after: part.name() ?? '' };
  return null;
}

function parseDropAction(part: TokenReader): AlterAction {
  if (part.accept('partition')) return { kind: 'rows', what: 'DROP PARTITION' };
  if (part.sees('system')) return { kind: 'keys' };
  const word = part.peek();
  const isKey = word?.kind === 'word' && /^(primary|key|index|foreign|constraint|check|period)$/.test(word.text);
  // A column may be called `key` only in quotes, so the word alone is never one
  if (isKey) return { kind: 'keys' };
  part.accept('column');
  part.accept('if', 'exists');
  return { kind: 'drop', column: part.name() ?? '' };
}

function parseAlterColumn(part: TokenReader): AlterAction {
  if (part.sees('index') || part.sees('check') || part.sees('constraint')) return { kind: 'keys' };
  part.accept('column');
  part.accept('if', 'exists');
  const column = part.name() ?? '';
  if (part.accept('drop', 'default')) return { kind: 'default', column, definition: null };
  if (part.accept('set', 'default')) {
    const parsed = readColumnDefinition(column, new TokenReader(`int default ${part.restText()}`));
    return { kind: 'default', column, definition: parsed?.column.default ?? null };
  }
  return { kind: 'keys' };
}

function partitionAction(part: TokenReader): AlterAction {
  const word = part.peek()?.text ?? '';
  if (/^(truncate|exchange|discard|import|convert)$/.test(word))
    return { kind: 'rows', what: part.restText().slice(0, 60) };
  if (/^(partition|reorganize|coalesce|rebuild|optimize|analyze|check|repair|remove|upgrade)$/.test(word))
    return { kind: 'keys' };
  return TABLE_OPTIONS.test(word) ? { kind: 'keys' } : { kind: 'unknown', text: part.restText() };
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
