import type { Client } from 'pg';
import { SchemaError } from '../errors.ts';
import { ADVISORY_LOCK_CLASS } from './advisory-locks.ts';
import { type MigrationGuard, type MigrationResult, type MigrationStep, runMigrations } from './migrations-run.ts';
import { packageVersion } from './package-version.ts';
import { readSqlScope, type SqlScope } from './sql-files.ts';

export { readLedger } from './migrations-ledger.ts';
export {
  type MigrationGuard,
  type MigrationResult,
  type MigrationStep,
  type RunMigrationsOptions,
  runMigrations,
} from './migrations-run.ts';

/** Our ledger's table, by scope. In a shard it stands among the user's tables, so its name begins with `hv_`. */
export const LEDGER_TABLE: Readonly<Record<SqlScope, string>> = {
  server: 'ledger',
  control: 'ledger',
  shard: 'hv_ledger',
};

export interface ApplySchemaOptions {
  /** The folder below `sql/`: `core`, `kv`, … */
  readonly module: string;
  readonly scope: SqlScope;
  /** `hypervault` for a server or the control database, else the shard's schema. */
  readonly schema: string;
  /** Values for the placeholders of the files. `schema` and `ledger` are added; a shard needs `shard`, its number. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** See {@link MigrationGuard}; the schema must be there then. */
  readonly guard?: MigrationGuard | undefined;
  readonly onStep?: ((step: MigrationStep) => void) | undefined;
  /** Ends the session when it fires while something runs. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings one schema up to date with what a module ships for it, in one transaction. Does nothing when the module has
 * no SQL for the scope. Idempotent; two processes at it take turns.
 *
 * @example
 * ```ts
 * await applySchema(client, { module: 'kv', scope: 'control', schema: 'hypervault' });
 * ```
 * @throws SchemaError, PermissionError (both name the file and the line), AbortedError
 */
export async function applySchema(
  client: Client,
  { module, scope, schema, variables, guard, onStep, signal }: ApplySchemaOptions,
): Promise<MigrationResult> {
  const files = await readSqlScope(module, scope);
  if (files.length === 0) return { applied: [], unknown: [] };
  return runMigrations({
    client,
    files,
    ledger: { schema, table: LEDGER_TABLE[scope], module, scope },
    lock: { class: ADVISORY_LOCK_CLASS.install, key: scope === 'shard' ? shardOf(variables) : 0 },
    variables,
    guard,
    packageVersion: packageVersion(),
    onStep,
    signal,
  });
}

function shardOf(variables: Readonly<Record<string, string>> | undefined): number {
  const shard = Number(variables?.shard ?? Number.NaN);
  if (Number.isInteger(shard)) return shard;
  throw new SchemaError('applySchema: scope "shard" needs the variable shard, the number of the shard');
}
