import { InvalidArgumentError } from '../errors.ts';

/** Longest identifier Postgres keeps (NAMEDATALEN − 1), in bytes; a longer one would be cut in silence. */
export const MAX_IDENTIFIER_BYTES = 63;

/**
 * Quotes an SQL identifier. Refuses what Postgres would refuse or cut: empty, NUL, more than 63 bytes.
 *
 * @example
 * ```ts
 * quoteIdentifier('Odd "name"');   // '"Odd ""name"""'
 * ```
 */
export function quoteIdentifier(name: string): string {
  if (name.length === 0) throw new InvalidArgumentError('an SQL identifier may not be empty');
  if (name.includes('\0'))
    throw new InvalidArgumentError(`the identifier ${JSON.stringify(name)} holds a NUL character`);
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InvalidArgumentError(
      `the identifier ${JSON.stringify(name)} is longer than ${MAX_IDENTIFIER_BYTES} bytes; Postgres would cut it`,
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes an SQL string literal, for the few statements that take no parameters (`SET`, DDL). */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new InvalidArgumentError('an SQL literal may not hold a NUL character');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
