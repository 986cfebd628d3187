import type { Commit } from '../commit.ts';
import { CommitFormatError } from '../errors.ts';
import { readLines } from './lines.ts';
import { commitOfRainerRow } from './rainer-row.ts';
import { type Dialect, type Literal, lastName, parseInsert, unquoteName } from './sql-literals.ts';
import { StatementEnd } from './statement-end.ts';

/** Where neither the statement nor a CREATE TABLE says it. */
const RAINER_COLUMNS = ['name', 'version', 'payload', 'is_empty'];

const COPY = /^COPY ((?:[`"\w$.-]|[^\x20-\x7e])+) \((.*)\) FROM stdin;$/;
const CREATE = /^CREATE TABLE (?:IF NOT EXISTS )?((?:[`"\w$.-]|[^\x20-\x7e])+) \(/;

/**
 * Reads the commits of a Rainer table out of a dump: of mysqldump or mariadb-dump (extended inserts or single ones,
 * blobs in any form), or of pg_dump in plain format (COPY or inserts). Other tables are passed over.
 *
 * @throws CommitFormatError when the table is not in the dump, or a row of it is no commit
 */
export async function* readRainerDump(
  chunks: AsyncIterable<Uint8Array>,
  { table = 'rainer' }: { table?: string | undefined } = {},
): AsyncGenerator<Commit, void, undefined> {
  const lines = readLines(chunks)[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => {
    const { value, done } = await lines.next();
    return done ? undefined : value.replace(/\r$/, '');
  };
  const columnsOf = new Map<string, string[]>();
  const seen = new Set<string>();
  let dialect: Dialect | undefined;
  for (let line = await next(); line !== undefined; line = await next()) {
    dialect ??= dialectOf(line);
    const [, created] = CREATE.exec(line) ?? [];
    if (created !== undefined) {
      seen.add(lastName(created));
      columnsOf.set(lastName(created), await readColumns(next));
      continue;
    }
    const [, copied, listed] = COPY.exec(line) ?? [];
    if (copied !== undefined) {
      seen.add(lastName(copied));
      const columns = listed!.split(', ').map(unquoteName);
      for (let row = await next(); row !== undefined && row !== '\\.'; row = await next()) {
        if (lastName(copied) === table) yield commitOf(columns, row.split('\t').map(copyValue), 'postgres');
      }
      continue;
    }
    if (!/^(INSERT|REPLACE) /.test(line)) continue;
    // Backquotes are MySQL's alone; a dump that says nothing of itself and has none is Postgres'.
    dialect ??= /^\w[\w ]* `/.test(line) ? 'mysql' : 'postgres';
    const statement = await wholeStatement(line, next, dialect);
    const insert = parseInsert(statement, dialect);
    if (insert === undefined) continue;
    seen.add(insert.table);
    if (insert.table !== table) continue;
    const columns = insert.columns ?? columnsOf.get(table) ?? RAINER_COLUMNS;
    for (const row of insert.rows) yield commitOf(columns, row, dialect);
  }
  if (seen.has(table)) return;
  const others = seen.size === 0 ? 'no table at all' : `only ${[...seen].sort().join(', ')}`;
  throw new CommitFormatError(`the dump has no table ${JSON.stringify(table)}, ${others}; name it by --source-table`);
}

function dialectOf(line: string): Dialect | undefined {
  if (/^-- (MySQL|MariaDB) dump|^\/\*M?!\d/.test(line)) return 'mysql';
  return /^-- PostgreSQL database dump|^SET standard_conforming_strings/.test(line) ? 'postgres' : undefined;
}

/** The names in a CREATE TABLE, in order. */
async function readColumns(next: () => Promise<string | undefined>): Promise<string[]> {
  const columns: string[] = [];
  for (let line = await next(); line !== undefined && !line.startsWith(')'); line = await next()) {
    const [, name] = /^\s+(`[^`]+`|"[^"]+"|(?!PRIMARY |KEY |UNIQUE |CONSTRAINT |INDEX |CHECK )\w+) /.exec(line) ?? [];
    if (name !== undefined) columns.push(unquoteName(name));
  }
  return columns;
}

async function wholeStatement(
  first: string,
  next: () => Promise<string | undefined>,
  dialect: Dialect,
): Promise<string> {
  const end = new StatementEnd(dialect);
  const lines = [first];
  while (!end.feed(lines.at(-1)!)) {
    const line = await next();
    if (line === undefined) throw new CommitFormatError('the dump ends in the middle of an INSERT');
    lines.push(line);
  }
  return lines.join('\n');
}

function commitOf(columns: readonly string[], values: readonly Literal[], dialect: Dialect): Commit {
  const [name, version, payload] = ['name', 'version', 'payload'].map((column) => values[columns.indexOf(column)]);
  return commitOfRainerRow({ name, version, payload: dialect === 'postgres' ? bytesOfBytea(payload) : payload });
}

const COPY_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** A field of COPY's text format. */
function copyValue(field: string): Literal {
  if (field === '\\N') return null;
  const text = field.replace(/\\(.)/g, (_all, escaped: string) => COPY_ESCAPES[escaped] ?? escaped);
  return Buffer.from(text, 'latin1');
}

/** Postgres writes bytea as text: `\x` and hexadecimal digits. A blob of Rainer begins with a digit and never so. */
function bytesOfBytea(value: Literal | undefined): Literal | undefined {
  if (!Buffer.isBuffer(value) || value[0] !== 0x5c || value[1] !== 0x78) return value;
  return Buffer.from(value.toString('latin1', 2), 'hex');
}
