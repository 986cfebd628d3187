import type { Client, QueryResult } from 'pg';
import { InvalidArgumentError, SchemaError } from '../errors.ts';
import { destroyClient } from './client-guard.ts';
import { explainFailure, explainPermission } from './migrations-errors.ts';
import {
  createLedger,
  type FoundLedger,
  findLedger,
  type Ledger,
  type LedgerRow,
  ledgerStatements,
  readLedger,
  writeLedger,
} from './migrations-ledger.ts';
import { type MigrationPlan, planMigrations } from './migrations-plan.ts';
import { substitutePlaceholders } from './psql-placeholders.ts';
import { quoteIdentifier } from './quote.ts';
import { throwIfAborted } from './sleep.ts';
import type { SqlFile } from './sql-files.ts';

/** One file that ran. */
export interface MigrationStep {
  readonly schema: string;
  readonly file: SqlFile;
  readonly durationMs: number;
}

export interface RunMigrationsOptions {
  /** A session outside any transaction; ended when the signal fires while something runs. */
  readonly client: Client;
  readonly files: readonly SqlFile[];
  readonly ledger: Ledger;
  /** Advisory lock held while one transaction runs, so that two processes take turns. */
  readonly lock: { readonly class: number; readonly key: number };
  /** Asked in each transaction, under the lock, before anything is done; a schema must be there then. */
  readonly guard?: MigrationGuard | undefined;
  /** Values for the placeholders; `schema` and `ledger` are added. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** `all`: everything pending in one transaction; `each`: one for each file. @default 'all' */
  readonly transaction?: 'all' | 'each' | undefined;
  /** Where unqualified names are looked up. @default ['pg_catalog'] */
  readonly searchPath?: readonly string[] | undefined;
  /** Bound of each wait for a table's lock; 0 waits for ever. @default 0 */
  readonly lockTimeoutMs?: number | undefined;
  /** Keeps the text of each file in the ledger, to make the same structure elsewhere. @default false */
  readonly keepSource?: boolean | undefined;
  /** Version of the package that ships the files, when they are ours. */
  readonly packageVersion?: string | undefined;
  /** Only says what would run. @default false */
  readonly dryRun?: boolean | undefined;
  readonly onStep?: ((step: MigrationStep) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What must be true when the lock is had: it may have been waited for. */
export interface MigrationGuard {
  /** One statement, without parameters. */
  readonly text: string;
  /** What it throws undoes the transaction. @param rows - what the statement returned */
  readonly accept: (rows: readonly Record<string, unknown>[]) => void;
}

export interface MigrationResult {
  /** What ran, or with `dryRun` would run. */
  readonly applied: readonly SqlFile[];
  /** Migrations in the ledger that are not among the files. */
  readonly unknown: readonly string[];
}

/**
 * Brings one schema up to date with a list of files: reads the ledger, runs what is missing, each file's ledger row
 * first and then its statements. May be run again and by several processes at once without harm; an error undoes
 * the transaction it happened in and nothing before it.
 *
 * @throws SchemaError, PermissionError (both name the file and the line), AbortedError
 */
export async function runMigrations(options: RunMigrationsOptions): Promise<MigrationResult> {
  const { client, ledger, signal } = options;
  const what = `migrating ${ledger.schema}`;
  throwIfAborted(signal, what);
  if (client.getTransactionStatus() === 'T') {
    throw new InvalidArgumentError(`${what}: the session is inside a transaction; commit it first`);
  }
  const onAbort = (): void => destroyClient(client);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await migrate(options);
  } catch (error) {
    throwIfAborted(signal, what);
    throw explainPermission(error, ledger.schema);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function migrate(options: RunMigrationsOptions): Promise<MigrationResult> {
  const { client, ledger, transaction = 'all', dryRun = false } = options;
  // Mostly there is nothing to do: look without a lock first.
  let found: FoundLedger = await findLedger(client, ledger);
  let plan = planOf(options, found.rows);
  if (dryRun) return { applied: plan.pending, unknown: plan.unknown };
  const applied: SqlFile[] = [];
  while (plan.pending.length > 0) {
    try {
      plan = planOf(options, await begin(options, found));
      const turn = transaction === 'all' ? plan.pending : plan.pending.slice(0, 1);
      for (const file of turn) await runFile(options, file);
      await client.query('commit');
      found = { ...found, schemaThere: true, there: true };
      applied.push(...turn);
      plan = { ...plan, pending: plan.pending.slice(turn.length) };
    } catch (error) {
      // The first error counts; a session that can't roll back has ended, and its transaction with it.
      await client.query('rollback').catch(() => {});
      throw error;
    }
  }
  return { applied, unknown: plan.unknown };
}

function planOf({ ledger, files, packageVersion }: RunMigrationsOptions, rows: readonly LedgerRow[]): MigrationPlan {
  return planMigrations(files, rows, { schema: ledger.schema, packageVersion });
}

/**
 * Begins a transaction, takes the lock, makes the ledger if need be, and reads it again under the lock. In one round trip
 * mostly: with hundreds of shards and small files, round trips are a good part of the time.
 */
async function begin(options: RunMigrationsOptions, found: FoundLedger): Promise<LedgerRow[]> {
  const { client, ledger, lock, guard, searchPath = ['pg_catalog'], lockTimeoutMs = 0 } = options;
  const start = `begin isolation level read committed;
     set local search_path to ${searchPath.map(quoteIdentifier).join(', ')};
     set local client_min_messages to warning;
     set local statement_timeout to 0;
     select pg_catalog.pg_advisory_xact_lock(${lock.class}, ${lock.key});
     set local lock_timeout to ${lockTimeoutMs}`;
  if (guard !== undefined) {
    if (!found.schemaThere)
      throw new SchemaError(`there is no schema ${ledger.schema} on this server (any more); look with hypervault fsck`);
    const reading = await ledgerStatements(ledger, found);
    const results = (await client.query(`${start};\n${reading};\n${guard.text}`)) as unknown as QueryResult[];
    const [rows, guarded] = results.slice(-2) as [QueryResult, QueryResult];
    guard.accept(guarded.rows);
    return rows.rows as LedgerRow[];
  }
  if (!found.schemaThere) {
    await client.query(start);
    await createLedger(client, ledger);
    return readLedger(client, ledger);
  }
  return lastOf(await client.query(`${start};\n${await ledgerStatements(ledger, found)}`)).rows as LedgerRow[];
}

async function runFile(options: RunMigrationsOptions, file: SqlFile): Promise<void> {
  const { client, ledger, variables, packageVersion, keepSource = false, onStep, signal } = options;
  throwIfAborted(signal, `migrating ${ledger.schema}`);
  const started = performance.now();
  const values = { ...variables, schema: ledger.schema, ledger: ledger.table };
  const sql = substitutePlaceholders(file.text, values, file.path);
  try {
    const transaction = await writeLedger(client, ledger, file, { packageVersion, keepSource });
    // A file that ended its transaction leaves the session in none, or in another.
    const { rows } = lastOf(await client.query(`${sql}\n;${TRANSACTION}`));
    if (rows[0]?.id !== transaction) {
      throw new SchemaError(
        `${file.path} ended the transaction it runs in, so half of it may be kept: take out its begin, commit or rollback`,
      );
    }
  } catch (error) {
    throw explainFailure(error, { ...file, text: sql }, ledger.schema);
  }
  onStep?.({ schema: ledger.schema, file, durationMs: performance.now() - started });
}

const TRANSACTION = 'select pg_catalog.pg_current_xact_id_if_assigned()::text as id';

/** node-postgres gives a list when there were several statements. */
function lastOf(results: QueryResult | QueryResult[]): QueryResult {
  return Array.isArray(results) ? results.at(-1)! : results;
}
