import { createHash } from 'node:crypto';
import { MAX_IDENTIFIER_BYTES } from '../../internal/quote.ts';

/**
 * Joins the parts to a name that Postgres keeps whole: one that is too long is cut and ends in eight hex digits
 * of its hash, so that two long names stay two names and the same parts always give the same name.
 */
export function fitName(...parts: readonly string[]): string {
  const name = parts.join('_');
  if (Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES) return name;
  const digest = createHash('md5').update(name).digest('hex').slice(0, 8);
  let head = name;
  while (Buffer.byteLength(head) > MAX_IDENTIFIER_BYTES - 9) head = head.slice(0, -1);
  return `${head}_${digest}`;
}

/** The schema into which `schema` is loaded before the swap. */
export function loadingSchema(schema: string): string {
  return fitName('', schema, 'tmp');
}
