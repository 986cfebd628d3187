/** A token of MySQL's SQL. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol';
  /** Words in lower case; quoted names and strings without their quotes. */
  readonly text: string;
  /** As it stands in the statement. */
  readonly raw: string;
  readonly start: number;
  readonly end: number;
}

const PATTERN = new RegExp(
  [
    String.raw`(?<space>\s+)`,
    String.raw`(?<line>--(?=\s|$)[^\n]*|#[^\n]*)`,
    // Executable comments (/*!50100 … */, /*M!100100 … */) are part of the statement: only their brackets are left out
    String.raw`(?<executable>/\*M?!\d*|\*/)`,
    String.raw`(?<comment>/\*[\s\S]*?\*/)`,
    '`(?<quoted>(?:[^`]|``)*)`',
    String.raw`(?:_[a-z][a-z0-9]*\s*|[nN])?'(?<single>(?:[^'\\]|\\[\s\S]|'')*)'`,
    String.raw`"(?<double>(?:[^"\\]|\\[\s\S]|"")*)"`,
    String.raw`(?<number>0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w$])|\.\d+)`,
    "(?<bits>[bBxX]'[0-9a-fA-F]*')",
    String.raw`(?<word>[\w$\u0080-\uffff@]+)`,
    String.raw`(?<symbol>[\s\S])`,
  ].join('|'),
  'giy',
);

/** Cuts a statement into tokens; comments and spaces are left out. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  for (let match = PATTERN.exec(sql); match !== null; match = PATTERN.exec(sql)) {
    const { quoted, single, double, number, bits, word, symbol } = match.groups as Record<string, string | undefined>;
    const at = { raw: match[0], start: match.index, end: PATTERN.lastIndex };
    if (quoted !== undefined) tokens.push({ ...at, kind: 'quoted', text: quoted.replaceAll('``', '`') });
    else if (single !== undefined) tokens.push({ ...at, kind: 'string', text: unquote(single, "'") });
    else if (double !== undefined) tokens.push({ ...at, kind: 'string', text: unquote(double, '"') });
    else if (number !== undefined || bits !== undefined)
      tokens.push({ ...at, kind: 'number', text: (number ?? bits)! });
    else if (word !== undefined) tokens.push({ ...at, kind: 'word', text: word.toLowerCase() });
    else if (symbol !== undefined) tokens.push({ ...at, kind: 'symbol', text: symbol });
    if (PATTERN.lastIndex >= sql.length) break;
  }
  return tokens;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0', b: '\b', Z: '\x1a' };

function unquote(text: string, quote: string): string {
  return text.replaceAll(quote + quote, quote).replace(/\\([\s\S])/g, (_, letter: string) => ESCAPES[letter] ?? letter);
}

/** A table as a statement names it, with the default database filled in. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** MySQL's column names do not tell upper from lower case. */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase();
}

/** Reads tokens one after the other. */
export class TokenReader {
  readonly sql: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(sql: string, tokens: readonly Token[] = tokenize(sql)) {
    this.sql = sql;
    this.#tokens = tokens;
  }

  /** A reader at the same place. */
  fork(): TokenReader {
    return new TokenReader(this.sql, this.#tokens.slice(this.#at));
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length || (this.#at === this.#tokens.length - 1 && this.peek()?.text === ';');
  }

  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }

  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  /** Whether the next tokens are these words or symbols. */
  sees(...texts: readonly string[]): boolean {
    return texts.every((text, index) => {
      const token = this.peek(index);
      return token !== undefined && (token.kind === 'word' || token.kind === 'symbol') && token.text === text;
    });
  }

  /** Steps over these words or symbols when they come next. */
  accept(...texts: readonly string[]): boolean {
    if (!this.sees(...texts)) return false;
    this.#at += texts.length;
    return true;
  }

  /** A name: quoted, or a bare word as it is written. */
  name(): string | undefined {
    const token = this.peek();
    if (token === undefined) return undefined;
    if (token.kind === 'quoted') {
      this.#at += 1;
      return token.text;
    }
    if (token.kind === 'word' || (token.kind === 'string' && token.raw.startsWith('"'))) {
      this.#at += 1;
      return token.kind === 'word' ? token.raw : token.text;
    }
    return undefined;
  }

  /** `schema.table` or `table`. */
  tableName(schema: string): TableName | undefined {
    const first = this.name();
    if (first === undefined) return undefined;
    if (this.accept('.')) {
      const second = this.name();
      return second === undefined ? undefined : { schema: first, name: second };
    }
    // `schema`.table may reach us as one word with a dot only when unquoted: db.t
    return { schema, name: first };
  }

  /** The tokens up to the matching parenthesis; the reader stands at the opening one. */
  parenthesized(): Token[] {
    const inside: Token[] = [];
    if (!this.accept('(')) return inside;
    for (let depth = 1; ; ) {
      const token = this.next();
      if (token === undefined) return inside;
      if (token.kind === 'symbol' && token.text === '(') depth += 1;
      if (token.kind === 'symbol' && token.text === ')') depth -= 1;
      if (depth === 0) return inside;
      inside.push(token);
    }
  }

  /** Cuts the rest at the commas of the outermost level. */
  splitAtCommas(): TokenReader[] {
    return splitAtCommas(this.sql, this.#tokens.slice(this.#at));
  }

  /** The statement's own text from the next token to the end of the last. */
  restText(): string {
    const first = this.peek();
    const last = this.#tokens.at(-1);
    return first === undefined || last === undefined ? '' : this.sql.slice(first.start, last.end);
  }
}

export function splitAtCommas(sql: string, tokens: readonly Token[]): TokenReader[] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === 'symbol') {
      if (token.text === '(') depth += 1;
      if (token.text === ')') depth -= 1;
      if (token.text === ',' && depth === 0) {
        parts.push([]);
        continue;
      }
      if (token.text === ';' && depth === 0) continue;
    }
    parts.at(-1)!.push(token);
  }
  return parts.filter((part) => part.length > 0).map((part) => new TokenReader(sql, part));
}
