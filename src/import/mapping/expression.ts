/**
 * Translates an expression of MySQL (of a CHECK or a generated column) into Postgres' dialect.
 *
 * Only what certainly means the same is let through: columns, numbers, plain strings, comparisons, AND, OR, NOT,
 * BETWEEN, IN, IS NULL, + - * and a few functions. Anything else gives `null`, and the caller says so in its report.
 */
export function translateExpression(expression: string): string | null {
  const output: string[] = [];
  let at = 0;
  while (at < expression.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(expression);
    if (match === null) return null;
    at = TOKEN.lastIndex;
    const { column, string, word, number, operator } = match.groups as Record<string, string | undefined>;
    if (column !== undefined) output.push(`"${column.replaceAll('``', '`').replaceAll('"', '""')}"`);
    else if (string !== undefined) {
      if (string.includes('\\')) return null;
      output.push(`'${string}'`);
    } else if (word !== undefined) {
      const translated = WORDS[word.toLowerCase()];
      if (translated === undefined) return null;
      output.push(translated);
    } else if (number !== undefined) output.push(number);
    else if (operator !== undefined) output.push(OPERATORS[operator] ?? operator);
  }
  return output.join(' ').trim();
}

const TOKEN =
  /\s+|`(?<column>(?:[^`]|``)+)`|(?:_utf8mb[34]|_utf8|_latin1)?\\?'(?<string>(?:[^'\\]|'')*)\\?'|(?<number>\d+(?:\.\d+)?)|(?<word>[A-Za-z_][A-Za-z_0-9]*)|(?<operator><=|>=|<>|!=|&&|\|\||[=<>()+*,-])/y;

const OPERATORS: Record<string, string> = { '&&': 'and', '||': 'or', '!=': '<>' };

const WORDS: Record<string, string | undefined> = {
  and: 'and',
  or: 'or',
  not: 'not',
  between: 'between',
  in: 'in',
  is: 'is',
  null: 'null',
  char_length: 'char_length',
  character_length: 'char_length',
  length: 'octet_length',
  octet_length: 'octet_length',
  upper: 'upper',
  lower: 'lower',
  abs: 'abs',
  coalesce: 'coalesce',
  ifnull: 'coalesce',
};
