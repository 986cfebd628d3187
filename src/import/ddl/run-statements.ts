import type { ClientBase } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';

/**
 * Statements are made once and run in every schema that holds the table; this stands in them for the quoted schema.
 * Not psql's `:"schema"`: it has to be found inside of `nextval('…')` too, and must not be found in a comment's text.
 */
export const SCHEMA = '\u0001';

/** Stands for the schema in which the table is at home, also while it is being loaded in another one. */
export const HOME = '\u0002';

/**
 * Runs statements in one schema.
 * @param home - where the table is at home, when that is another schema
 */
export async function runStatements(
  client: ClientBase,
  statements: readonly string[],
  schema: string,
  home = schema,
): Promise<void> {
  for (const statement of statements) await client.query(inSchema(statement, schema, home));
}

/** A statement with the schemas put in. */
export function inSchema(statement: string, schema: string, home = schema): string {
  const quoted = quoteIdentifier(schema);
  return statement
    .replaceAll(`'${SCHEMA}`, `'${quoted.replaceAll("'", "''")}`)
    .replaceAll(SCHEMA, quoted)
    .replaceAll(HOME, quoteIdentifier(home));
}
