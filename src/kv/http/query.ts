import { Refusal } from './refusal.ts';
import { parseYesNo } from './yes-no.ts';

/** Reads the parameters of a query; the first one counts when one comes twice. Each throws {@link Refusal} 400. */

export function queryYesNo(query: URLSearchParams, name: string): boolean {
  const value = parseYesNo(query.get(name) ?? 'false');
  if (value === undefined) throw new Refusal(400, `Invalid '${name}' parameter (should be boolean)`);
  return value;
}

/** @returns '' when it is not there */
export function queryText(query: URLSearchParams, name: string): string {
  const text = query.get(name) ?? '';
  // What URLSearchParams makes of broken UTF-8: it would ask for other keys than the sender meant.
  if (text.includes('\u{fffd}')) throw new Refusal(400, `Invalid '${name}' parameter (should be UTF-8)`);
  return text;
}

/** A whole number of at least 0, at most `most`. */
export function queryNumber(query: URLSearchParams, name: string, most = 2 ** 31 - 1): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,10}$/.test(text) && Number(text) <= most) return Number(text);
  throw new Refusal(400, `Invalid '${name}' parameter (should be a number from 0 to ${most})`);
}

export function queryRevision(query: URLSearchParams, name: string): bigint | undefined {
  const text = query.get(name);
  return text === null ? undefined : parseRevision(text, `'${name}' parameter`);
}

export function parseRevision(text: string, what: string): bigint {
  const revision = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n;
  if (revision >= 0n && revision < 2n ** 63n) return revision;
  throw new Refusal(400, `Invalid ${what} (should be a revision)`);
}
