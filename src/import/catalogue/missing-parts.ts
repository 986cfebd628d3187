import type { Client } from 'pg';
import { SchemaError } from '../../errors.ts';
import { LEDGER_TABLE, readLedger } from '../../internal/migrations.ts';
import type { Ledger } from '../../internal/migrations-ledger.ts';
import { readSqlScope } from '../../internal/sql-files.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { OUR_SCHEMA, OWN_OBJECTS } from './own-objects.ts';

/** The folders of `sql/import/` whose files a database has to have. */
export type CatalogueScope = keyof typeof OWN_OBJECTS;

export function ledgerOf(scope: CatalogueScope): Ledger {
  return { schema: OUR_SCHEMA, table: LEDGER_TABLE[scope], module: 'import', scope };
}

/** What Postgres says of a statement that names a table, a function or a column which is not there. */
const UNDEFINED: readonly (string | undefined)[] = [
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.undefinedFunction,
  SQLSTATE.invalidSchemaName,
];

/**
 * Explains why a statement failed on a server whose catalogue is not what this program needs. Any other error is
 * given back as it is.
 *
 * @param look - lends a session of its own: that of the statement may be in a failed transaction
 */
export async function explainMissingParts(
  error: unknown,
  server: string,
  scopes: readonly CatalogueScope[],
  look: <Result>(work: (client: Client) => Promise<Result>) => Promise<Result>,
): Promise<unknown> {
  if (!UNDEFINED.includes(sqlStateOf(error))) return error;
  const missing = await look((client) => findMissingParts(client, server, scopes)).catch(() => null);
  return missing === null ? error : new SchemaError(missing, { cause: error });
}

/** What a server's catalogue lacks, with the remedy, as a sentence. `null` when it has everything. */
export async function findMissingParts(
  client: Client,
  server: string,
  scopes: readonly CatalogueScope[],
): Promise<string | null> {
  for (const scope of scopes) {
    const ledger = await readLedger(client, ledgerOf(scope));
    if (ledger.length === 0) return `the import catalogue is not installed on ${server}; run create-replica-schema`;
    const files = await readSqlScope('import', scope);
    const later = ledger.find(({ kind, name }) => kind === 'migration' && !files.some((file) => file.name === name));
    if (later !== undefined) {
      return `the import catalogue on ${server} was made by a later version of pg-hypervault (it has ${later.name}); use that version`;
    }
    const absent = files.find(({ kind, name }) => !ledger.some((row) => row.kind === kind && row.name === name));
    if (absent !== undefined) {
      return `the import catalogue on ${server} was made by an earlier version: it lacks ${absent.path}; run upgrade-replica-schema`;
    }
    const [table] = await findDropped(client, scope, 'tables');
    if (table !== undefined) {
      return (
        `the import catalogue on ${server} has lost ${table}, and what was in it cannot be made again: restore it from ` +
        'a backup, or begin anew with drop-replica-schema, create-replica-schema, add-source and init-replica'
      );
    }
    const [dropped] = await findDropped(client, scope, 'functions');
    if (dropped !== undefined) {
      return `the import catalogue on ${server} lacks the function ${dropped}; run upgrade-replica-schema`;
    }
  }
  return null;
}

/** What the ledger says was made, and somebody has dropped. */
export async function findDropped(
  client: Client,
  scope: CatalogueScope,
  kind: 'tables' | 'functions',
): Promise<string[]> {
  const find = kind === 'tables' ? 'to_regclass' : 'to_regprocedure';
  const { rows } = await client.query<{ name: string }>(
    `select name
       from unnest($1::text[]) name
      where ${find}(name) is null`,
    [OWN_OBJECTS[scope][kind].map((object) => `${OUR_SCHEMA}.${object}`)],
  );
  return rows.map(({ name }) => name);
}
