import { SchemaError } from '../errors.ts';
import type { LedgerRow } from './migrations-ledger.ts';
import { isNewerVersion } from './package-version.ts';
import { migrationNumber, type SqlFile } from './sql-files.ts';

export interface MigrationPlan {
  /** What is to be run, in order. */
  readonly pending: readonly SqlFile[];
  /** Migrations that the ledger holds and the files don't: a newer program was here. */
  readonly unknown: readonly string[];
}

/**
 * Compares files with the ledger: numbered ones run once, functions and views again when their text changed.
 *
 * @param schema - for messages
 * @param packageVersion - ours; what a newer package wrote is then left as it is
 * @throws SchemaError when an applied migration was changed, when one is missing below an applied one, or when
 *   the schema belongs to a newer release than the files
 */
export function planMigrations(
  files: readonly SqlFile[],
  rows: readonly LedgerRow[],
  { schema, packageVersion }: { readonly schema: string; readonly packageVersion?: string | undefined },
): MigrationPlan {
  const ours = Math.max(0, ...files.map(({ release }) => release));
  const theirs = Math.max(0, ...rows.map(({ release }) => release));
  if (files.length > 0 && theirs > ours) {
    throw new SchemaError(
      `${schema} is of schema release ${theirs} and this program knows only ${ours}: upgrade pg-hypervault here first`,
    );
  }
  const written = new Map(rows.map((row) => [`${row.kind} ${row.name}`, row]));
  const applied = rows.filter(({ kind }) => kind === 'migration');
  const highest = Math.max(0, ...applied.map(({ name }) => migrationNumber(name)));
  const pending = files.filter((file) => {
    const row = written.get(`${file.kind} ${file.name}`);
    if (file.kind !== 'migration') return row === undefined || (row.hash !== file.hash && !isTheirs(row));
    if (row === undefined) {
      if (migrationNumber(file.name) < highest) {
        throw new SchemaError(
          `${file.path} is new, but ${schema} has migrations up to ${highest} already: give it a number above that`,
        );
      }
      return true;
    }
    if (row.hash !== file.hash) {
      throw new SchemaError(
        `${file.path} was changed after it ran in ${schema}: put the file back as it was and write the change into a new one`,
      );
    }
    return false;
  });
  const names = new Set(files.filter(({ kind }) => kind === 'migration').map(({ name }) => name));
  return { pending, unknown: applied.map(({ name }) => name).filter((name) => !names.has(name)) };

  function isTheirs(row: LedgerRow): boolean {
    return packageVersion !== undefined && row.package !== null && isNewerVersion(row.package, packageVersion);
  }
}
