import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { SchemaError } from '../errors.ts';

/** Where a module's SQL belongs: the schema of a server, each shard's schema, or the control database. */
export type SqlScope = 'server' | 'shard' | 'control';

/** `migration`: numbered, runs once, never changes. `function` and `view`: run again whenever the text changes. */
export type SqlFileKind = 'migration' | 'function' | 'view';

export interface SqlFile {
  readonly kind: SqlFileKind;
  /** `001-settings.sql`, without folders. */
  readonly name: string;
  /** For messages: `sql/core/server/001-settings.sql`. */
  readonly path: string;
  readonly text: string;
  /** SHA-256 of the text, hexadecimal; line ends don't count. */
  readonly hash: string;
  /**
   * The release of the module's schema that this file begins or belongs to, from its line `-- schema release: 2`.
   * @default 1
   */
  readonly release: number;
}

// Both src/internal and dist/internal lie two folders below the package.
const ROOT = new URL('../../sql/', import.meta.url);
const FOLDERS: readonly (readonly [SqlFileKind, string])[] = [
  ['migration', ''],
  ['function', 'functions/'],
  ['view', 'views/'],
];
// Runs on demand, for a role: no migration.
const GRANTS = 'grants.sql';
const NUMBERED = /^(\d{3,})-[\w.-]+\.sql$/;

const scopes = new Map<string, Promise<readonly SqlFile[]>>();
const single = new Map<string, Promise<string>>();

/**
 * The files of `sql/<module>/<scope>/` in the order they run: numbered ones, functions, views, each by name.
 * Empty when the module has nothing for the scope. Read once.
 */
export function readSqlScope(module: string, scope: SqlScope): Promise<readonly SqlFile[]> {
  const folder = `${module}/${scope}/`;
  let files = scopes.get(folder);
  if (files === undefined) {
    files = readSqlFolder(new URL(folder, ROOT), `sql/${folder}`);
    scopes.set(folder, files);
  }
  return files;
}

/** One file below `sql/` by its path, e.g. `ledger/ledger.sql`. Read once. */
export function readSqlFile(path: string): Promise<string> {
  let text = single.get(path);
  if (text === undefined) {
    text = readFile(new URL(path, ROOT), 'utf8');
    single.set(path, text);
  }
  return text;
}

/** The text of `sql/<module>/<scope>/grants.sql`: the least rights a role needs there. `undefined` when there is none. */
export async function readGrants(module: string, scope: SqlScope): Promise<string | undefined> {
  try {
    return await readSqlFile(`${module}/${scope}/${GRANTS}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The modules that have SQL of the scope, by name. */
export async function sqlModules(scope: SqlScope): Promise<string[]> {
  const modules: string[] = [];
  for (const entry of await readdir(ROOT, { withFileTypes: true })) {
    if (entry.isDirectory() && (await readSqlScope(entry.name, scope)).length > 0) modules.push(entry.name);
  }
  return modules.sort();
}

/**
 * Reads a folder of migrations laid out like ours; also the user's own.
 *
 * @param shown - the folder as messages name it, ending in a slash
 * @throws SchemaError when two files have one number, or a name is not `NNN-name.sql`
 */
export async function readSqlFolder(folder: URL, shown: string): Promise<readonly SqlFile[]> {
  const files: SqlFile[] = [];
  for (const [kind, subfolder] of FOLDERS) {
    for (const name of await sqlNames(new URL(subfolder, folder))) {
      if (kind === 'migration' && name === GRANTS) continue;
      const path = `${shown}${subfolder}${name}`;
      if (kind === 'migration') checkNumber(path, name, files.at(-1)?.name);
      files.push(sqlFile(kind, name, path, await readFile(new URL(`${subfolder}${name}`, folder), 'utf8')));
    }
  }
  return files;
}

/** Makes a {@link SqlFile} of a text that lies in no folder. */
export function sqlFile(kind: SqlFileKind, name: string, path: string, text: string): SqlFile {
  const hash = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
  const release = Number(/^-- schema release: (\d+)\s*$/m.exec(text)?.[1] ?? 1);
  return { kind, name, path, text, hash, release };
}

async function sqlNames(folder: URL): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort(byNumber);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The number a migration's name begins with. */
export function migrationNumber(name: string): number {
  return Number(NUMBERED.exec(name)?.[1] ?? 0);
}

function byNumber(a: string, b: string): number {
  return migrationNumber(a) - migrationNumber(b) || (a < b ? -1 : 1);
}

function checkNumber(path: string, name: string, previous: string | undefined): void {
  if (!NUMBERED.test(name)) {
    throw new SchemaError(`${path}: a migration is named NNN-name.sql, e.g. 001-orders.sql`);
  }
  if (previous !== undefined && migrationNumber(previous) === migrationNumber(name)) {
    throw new SchemaError(`${path}: the number ${migrationNumber(name)} is taken by ${previous}; give it the next one`);
  }
}
