import type { Client } from 'pg';
import { SchemaError } from '../errors.ts';
import { substitutePlaceholders } from './psql-placeholders.ts';
import { quoteIdentifier } from './quote.ts';
import { readSqlFile, type SqlFile, type SqlFileKind } from './sql-files.ts';
import { SQLSTATE, sqlStateOf } from './sqlstate.ts';

/** Where it is written down which files ran: a table in the schema they made, and a part of that table. */
export interface Ledger {
  readonly schema: string;
  readonly table: string;
  /** With `scope`, tells the files of several folders apart that share the table. */
  readonly module: string;
  readonly scope: string;
}

export interface LedgerRow {
  readonly kind: SqlFileKind;
  readonly name: string;
  readonly hash: string;
  readonly release: number;
  readonly package: string | null;
  readonly source: string | null;
  readonly applied: Date;
}

/** What is written down, in the order it was applied; empty when the schema or its ledger is not there yet. */
export async function readLedger(client: Client, { schema, table, module, scope }: Ledger): Promise<LedgerRow[]> {
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
  const { rows } = await client.query<{ there: boolean }>('select pg_catalog.to_regclass($1) is not null as there', [
    name,
  ]);
  if (!rows[0]!.there) return [];
  const read = await client.query<LedgerRow>(
    `select kind, name, hash, release, package, source, applied from ${name}
     where module = $1 and scope = $2 order by applied, kind, name`,
    [module, scope],
  );
  return read.rows;
}

/** Makes schema and ledger unless they are there. Called inside the migration's transaction, under its lock. */
export async function createLedger(client: Client, { schema, table }: Ledger): Promise<void> {
  const variables = { schema, ledger: table };
  // Asks the table: to_regnamespace() answers from a cache that waiting for the lock of the runner does not refresh.
  const { rows } = await client.query<{ there: boolean }>(
    'select exists (select from pg_catalog.pg_namespace where nspname = $1) as there',
    [schema],
  );
  if (!rows[0]!.there) await client.query(substitutePlaceholders(await readSqlFile('ledger/schema.sql'), variables));
  await client.query(substitutePlaceholders(await readSqlFile('ledger/ledger.sql'), variables));
}

/**
 * Writes down that a file runs now. A migration's row must be new: the key is what a second installer stumbles over
 * when it took no lock.
 *
 * @returns the id of the transaction it is in
 */
export async function writeLedger(
  client: Client,
  { schema, table, module, scope }: Ledger,
  file: SqlFile,
  { packageVersion, keepSource }: { packageVersion: string | undefined; keepSource: boolean },
): Promise<string> {
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
  const again =
    file.kind === 'migration'
      ? ''
      : `on conflict (module, scope, kind, name) do update
           set hash = excluded.hash, release = excluded.release, package = excluded.package, source = excluded.source,
               applied = excluded.applied`;
  try {
    const { rows } = await client.query<{ transaction: string }>(
      `insert into ${name} (module, scope, kind, name, hash, release, package, source)
       values ($1, $2, $3, $4, $5, $6, $7, $8) ${again}
       returning pg_catalog.pg_current_xact_id()::text as transaction`,
      [
        module,
        scope,
        file.kind,
        file.name,
        file.hash,
        file.release,
        packageVersion ?? null,
        keepSource ? file.text : null,
      ],
    );
    return rows[0]!.transaction;
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.uniqueViolation) throw cause;
    throw new SchemaError(`${file.path} was applied to ${schema} by another process meanwhile; run this again`, {
      cause,
      retryable: true,
    });
  }
}
