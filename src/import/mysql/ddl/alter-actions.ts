import { type ColumnDefinition, readColumnDefinition } from './column-definition.ts';
import { NOT_COLUMNS } from './create-definition.ts';
import { type ForeignKeyDefinition, readForeignKey } from './foreign-key-clause.ts';
import { splitAtCommas, type TableName, TokenReader } from './tokens.ts';

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
  | { readonly kind: 'add-foreign-key'; readonly definition: ForeignKeyDefinition }
  | { readonly kind: 'drop-foreign-key'; readonly name: string }
  | { readonly kind: 'rename-table'; readonly to: TableName }
  /** Rows change without being logged. */
  | { readonly kind: 'rows'; readonly what: string }
  | { readonly kind: 'unknown'; readonly text: string };

const TABLE_OPTIONS =
  /^(engine|auto_increment|avg_row_length|character|charset|default|checksum|collate|comment|compression|connection|data|delay_key_write|encryption|encrypted|insert_method|key_block_size|max_rows|min_rows|pack_keys|page_checksum|page_compressed|page_compression_level|password|row_format|secondary_engine|stats_auto_recalc|stats_persistent|stats_sample_pages|tablespace|transactional|union|order|force|algorithm|lock|enable|disable|with|without|sequence|secondary_load|secondary_unload|itef_quotes|autoextend_size|period|system)$/;

/** One part of ALTER TABLE, between its commas. */
export function parseAction(part: TokenReader, schema: string, table: TableName): AlterAction[] {
  if (part.accept('add')) return parseAdd(part, table);
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

function parseAdd(part: TokenReader, table: TableName): AlterAction[] {
  if (part.sees('partition')) return [];
  const word = part.peek();
  if (word?.kind === 'word' && NOT_COLUMNS.test(word.text)) return [keyAction(part, table)];
  if (part.sees('system')) return [];
  part.accept('column');
  part.accept('if', 'not', 'exists');
  if (part.sees('(')) {
    return splitAtCommas(part.sql, part.parenthesized()).map((inner) => {
      const first = inner.peek()!;
      return first.kind === 'word' && NOT_COLUMNS.test(first.text) ? keyAction(inner, table) : addAction(inner);
    });
  }
  return [addAction(part)];
}

function keyAction(part: TokenReader, table: TableName): AlterAction {
  const definition = readForeignKey(part, table);
  return definition === null ? { kind: 'keys' } : { kind: 'add-foreign-key', definition };
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
  if (part.accept('foreign', 'key') || part.accept('constraint')) {
    part.accept('if', 'exists');
    return { kind: 'drop-foreign-key', name: part.name() ?? '' };
  }
  const word = part.peek();
  const isKey = word?.kind === 'word' && /^(primary|key|index|check|period)$/.test(word.text);
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
