import type { ClientBase } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';

/**
 * Statements are made once and run in every schema that holds the table; this stands in them for the quoted schema.
 * Not psql's `:"schema"`: it has to be found inside of `nextval('…')` too, and must not be found in a comment's text.
 */
export const SCHEMA = '\u0001';

/** Runs statements in one schema. */
export async function runStatements(client: ClientBase, statements: readonly string[], schema: string): Promise<void> {
  for (const statement of statements) await client.query(inSchema(statement, schema));
}

/** A statement with the schema put in. */
export function inSchema(statement: string, schema: string): string {
  const quoted = quoteIdentifier(schema);
  return statement.replaceAll(`'${SCHEMA}`, `'${quoted.replaceAll("'", "''")}`).replaceAll(SCHEMA, quoted);
}
