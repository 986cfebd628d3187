import { CommitFormatError } from '../errors.ts';

/** How strings are written: with backslashes that mean something, or only doubled quotes. */
export type Dialect = 'mysql' | 'postgres';

/** A value of an INSERT: numbers and words as they stand, strings as their bytes. */
export type Literal = null | string | Buffer;

/** An INSERT of a dump, taken apart. */
export interface Insert {
  readonly table: string;
  /** As the statement names them; `undefined` when it does not. */
  readonly columns: readonly string[] | undefined;
  readonly rows: Iterable<readonly Literal[]>;
}

const HEAD =
  /^(?:INSERT(?: IGNORE)?|REPLACE) INTO (?<table>(?:[`"\w$.-]|[^\x20-\x7e])+) *(?<columns>\([^)]*\))? *(?:OVERRIDING SYSTEM VALUE )?VALUES\s*/;
const MYSQL_ESCAPES: Readonly<Record<string, string>> = { '0': '\0', b: '\b', n: '\n', r: '\r', t: '\t', Z: '\x1a' };

/** Takes an INSERT apart; its rows are read as they are asked for. `undefined` when it is none. */
export function parseInsert(statement: string, dialect: Dialect): Insert | undefined {
  const match = HEAD.exec(statement);
  if (match === null) return undefined;
  const { table, columns } = match.groups as { table: string; columns: string | undefined };
  return {
    table: lastName(table),
    columns: columns
      ?.slice(1, -1)
      .split(',')
      .map((name) => unquoteName(name.trim())),
    rows: readRows(statement, match[0].length, dialect),
  };
}

/** The last part of a name like `` `db`.`rainer` `` or `public.rainer`. */
export function lastName(name: string): string {
  return unquoteName(/(?:`[^`]*`|"[^"]*"|[^.]+)$/.exec(name)?.[0] ?? name);
}

export function unquoteName(name: string): string {
  return Buffer.from(/^[`"](.*)[`"]$/.exec(name)?.[1] ?? name, 'latin1').toString();
}

function* readRows(text: string, start: number, dialect: Dialect): Generator<readonly Literal[]> {
  const reader = new LiteralReader(text, start, dialect);
  do {
    yield reader.row();
  } while (reader.comma());
}

class LiteralReader {
  readonly #text: string;
  readonly #dialect: Dialect;
  #at: number;

  constructor(text: string, at: number, dialect: Dialect) {
    this.#text = text;
    this.#at = at;
    this.#dialect = dialect;
  }

  row(): Literal[] {
    this.#expect('(');
    const values: Literal[] = [];
    do values.push(this.#value());
    while (this.comma());
    this.#expect(')');
    return values;
  }

  comma(): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== ',') return false;
    this.#at += 1;
    return true;
  }

  #value(): Literal {
    this.#skipSpace();
    const [prefix] = this.#match(/_binary +|[xXbBE](?=')/y) ?? [''];
    if (this.#text[this.#at] === "'") {
      const value = this.#string(this.#dialect === 'mysql' || prefix === 'E');
      this.#match(/::[\w ]+/y);
      if (/^x$/i.test(prefix)) return Buffer.from(value, 'hex');
      return Buffer.from(value, 'latin1');
    }
    const word = this.#match(/[\w.+-]+/y)?.[0];
    if (word === undefined) throw this.#wrong();
    if (/^0x/i.test(word)) return Buffer.from(word.slice(2), 'hex');
    return /^null$/i.test(word) ? null : word;
  }

  #string(backslashes: boolean): string {
    const parts: string[] = [];
    const plain = backslashes ? /[^'\\]*/y : /[^']*/y;
    this.#at += 1;
    for (;;) {
      parts.push(this.#match(plain)![0]);
      const [one, two] = [this.#text[this.#at], this.#text[this.#at + 1]];
      if (one === undefined) throw this.#wrong();
      if (one === '\\' && two !== undefined) parts.push(MYSQL_ESCAPES[two] ?? two);
      else if (two === "'") parts.push("'");
      else {
        this.#at += 1;
        return parts.join('');
      }
      this.#at += 2;
    }
  }

  #expect(character: string): void {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) throw this.#wrong();
    this.#at += 1;
  }

  #skipSpace(): void {
    this.#match(/\s*/y);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #wrong(): CommitFormatError {
    const near = this.#text.slice(Math.max(0, this.#at - 20), this.#at + 20);
    return new CommitFormatError(`an INSERT of the dump can't be read near ${JSON.stringify(near)}`);
  }
}
