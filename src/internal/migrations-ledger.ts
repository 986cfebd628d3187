import type { Client } from 'pg';
import { SchemaError } from '../errors.ts';
import { substitutePlaceholders } from './psql-placeholders.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
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
export async function readLedger(client: Client, ledger: Ledger): Promise<LedgerRow[]> {
  return (await findLedger(client, ledger)).rows;
}

/** What there is of a ledger. */
export interface FoundLedger {
  readonly schemaThere: boolean;
  readonly there: boolean;
  readonly rows: LedgerRow[];
}

/** Looks for schema, ledger and what is written in it. */
export async function findLedger(client: Client, ledger: Ledger): Promise<FoundLedger> {
  // Asks the table: to_regnamespace() answers from a cache that waiting for the lock of the runner does not refresh.
  const { rows } = await client.query<{ there: boolean; schema_there: boolean }>(
    `select exists (select from pg_catalog.pg_namespace where nspname = $1) as schema_there,
            pg_catalog.to_regclass($2) is not null as there`,
    [ledger.schema, nameOf(ledger)],
  );
  const { there, schema_there: schemaThere } = rows[0]!;
  if (!there) return { schemaThere, there, rows: [] };
  return { schemaThere, there, rows: (await client.query<LedgerRow>(selectOf(ledger))).rows };
}

/**
 * Statements that make the ledger unless it is there, in a schema that is, and then read it; they can travel with
 * others in one round trip. Called inside the migration's transaction, under its lock.
 */
export async function ledgerStatements(ledger: Ledger, { there }: { there: boolean }): Promise<string> {
  return there ? selectOf(ledger) : `${await createTable(ledger)};\n${selectOf(ledger)}`;
}

/** Makes schema and ledger unless they are there. Called inside the migration's transaction, under its lock. */
export async function createLedger(client: Client, ledger: Ledger): Promise<void> {
  const { schemaThere } = await findLedger(client, ledger);
  if (!schemaThere) {
    await client.query(substitutePlaceholders(await readSqlFile('ledger/schema.sql'), { schema: ledger.schema }));
  }
  await client.query(await createTable(ledger));
}

async function createTable({ schema, table }: Ledger): Promise<string> {
  return substitutePlaceholders(await readSqlFile('ledger/ledger.sql'), { schema, ledger: table });
}

function nameOf({ schema, table }: Ledger): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

function selectOf(ledger: Ledger): string {
  return `select kind, name, hash, release, package, source, applied from ${nameOf(ledger)}
     where module = ${quoteLiteral(ledger.module)} and scope = ${quoteLiteral(ledger.scope)}
     order by applied, kind, name`;
}

/**
 * Writes down that a file runs now. A migration's row must be new: the key is what a second installer stumbles over
 * when it took no lock.
 *
 * @returns the id of the transaction it is in
 */
export async function writeLedger(
  client: Client,
  ledger: Ledger,
  file: SqlFile,
  { packageVersion, keepSource }: { packageVersion: string | undefined; keepSource: boolean },
): Promise<string> {
  const { schema, module, scope } = ledger;
  const again =
    file.kind === 'migration'
      ? ''
      : `on conflict (module, scope, kind, name) do update
           set hash = excluded.hash, release = excluded.release, package = excluded.package, source = excluded.source,
               applied = excluded.applied`;
  try {
    const { rows } = await client.query<{ transaction: string }>(
      `insert into ${nameOf(ledger)} (module, scope, kind, name, hash, release, package, source)
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
