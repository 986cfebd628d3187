import { HypervaultError, PermissionError, SchemaError } from '../errors.ts';
import type { SqlFile } from './sql-files.ts';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from './sqlstate.ts';

/** Extension control file not found: 0A000 since Postgres 13. */
const FEATURE_NOT_SUPPORTED = '0A000';
const RETRYABLE: ReadonlySet<string> = new Set([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  SQLSTATE.lockNotAvailable,
  SQLSTATE.uniqueViolation,
]);

/** Says which file failed, at which line, in which schema, and what to do. A lost session passes as it is. */
export function explainFailure(cause: unknown, file: SqlFile, schema: string): unknown {
  if (cause instanceof HypervaultError || isConnectionLoss(cause)) return cause;
  const state = sqlStateOf(cause);
  if (state === undefined || !(cause instanceof Error)) return cause;
  const where = `${file.path}${lineOf(cause, file)} in ${schema}`;
  if (state === SQLSTATE.insufficientPrivilege) return new PermissionError(`${where}: ${remedy(cause)}`, { cause });
  if (state === FEATURE_NOT_SUPPORTED && /extension/.test(cause.message)) {
    const message = `${where}: ${cause.message}; install it on the server's machine (Debian: postgresql-contrib)`;
    return new SchemaError(message, { cause });
  }
  return new SchemaError(`${where}: ${cause.message} (${state}); nothing of this file was kept`, {
    cause,
    retryable: RETRYABLE.has(state),
  });
}

/** Says which right the role lacks, for what is done outside of files: making the schema, reading the ledger. */
export function explainPermission(cause: unknown, schema: string): unknown {
  if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege || !(cause instanceof Error)) return cause;
  return new PermissionError(`${schema}: ${remedy(cause)}`, { cause });
}

function remedy({ message }: Error): string {
  const [, kind, name] = /permission denied for (database|schema|table|sequence|function) (.+)$/.exec(message) ?? [];
  switch (kind) {
    case 'database':
      return `${message}; a superuser may run: grant create on database ${name} to <this role>`;
    case 'schema':
      return `${message}; its owner may run: grant usage, create on schema ${name} to <this role>`;
    case undefined:
      return `${message}; run this as the owner, or as a superuser (see docs/rights.md)`;
    default:
      return `${message}; run this as the owner of the schema, or see docs/rights.md for the grants`;
  }
}

function lineOf(error: Error, { text }: SqlFile): string {
  const position = Number((error as { position?: string }).position);
  if (!(position > 0)) return '';
  return ` line ${text.slice(0, position).split('\n').length}`;
}
