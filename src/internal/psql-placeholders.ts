import { SchemaError } from '../errors.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';

/**
 * One token of SQL as psql's scanner cuts it: what must be passed over whole (comments, texts, quoted names,
 * dollar-quoted bodies, plain names, `::` and `:=`), and the two quoted placeholders.
 * Nested block comments are the one thing a regular expression can't count; {@link endOfBlockComment} does.
 */
const TOKEN = new RegExp(
  [
    String.raw`--[^\n]*`,
    String.raw`/\*`,
    String.raw`[eE]'(?:[^'\\]|\\[\s\S]|'')*'`,
    "'(?:[^']|'')*'",
    '"(?:[^"]|"")*"',
    String.raw`\$(?<tag>(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?)\$[\s\S]*?\$\k<tag>\$`,
    String.raw`[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*`,
    '::|:=',
    String.raw`:'(?<literal>\w+)'`,
    String.raw`:"(?<identifier>\w+)"`,
  ].join('|'),
  'g',
);

/**
 * Puts values for psql's quoted placeholders, `:'name'` as a literal and `:"name"` as an identifier, where psql
 * would: not inside texts, quoted names, comments or `$$…$$`. So one file runs here and with `psql -v name=value`.
 * The bare form `:name` is left alone, as psql leaves an unset one: `a[1:n]` is SQL.
 *
 * @param where - the file, for the error
 * @throws SchemaError for a placeholder without a value
 */
export function substitutePlaceholders(
  sql: string,
  variables: Readonly<Record<string, string>>,
  where = 'SQL',
): string {
  let result = '';
  let copied = 0;
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(sql); token !== null; token = TOKEN.exec(sql)) {
    if (token[0] === '/*') {
      TOKEN.lastIndex = endOfBlockComment(sql, token.index);
      continue;
    }
    const { literal, identifier } = token.groups ?? {};
    const name = literal ?? identifier;
    if (name === undefined) continue;
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined) {
      const known = Object.keys(variables).join(', ') || 'none';
      throw new SchemaError(`${where}: no value for the placeholder ${token[0]}; values given: ${known}`);
    }
    result += sql.slice(copied, token.index) + (literal === undefined ? quoteIdentifier(value) : quoteLiteral(value));
    copied = TOKEN.lastIndex;
  }
  return result + sql.slice(copied);
}

function endOfBlockComment(sql: string, start: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let match = edge.exec(sql); match !== null; match = edge.exec(sql)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}
