import type { Client } from 'pg';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';

/** Most statements prepared by name on one session; node-postgres never gives a name back. */
export const MAX_NAMED_STATEMENTS = 128;

const nameOfText = new Map<string, string>();
const preparedOn = new WeakMap<Client, Set<string>>();

/**
 * Whether a statement failed, and did nothing, because what this session has prepared is of no use any more: its table was
 * altered ("cached plan must not change result type"), or a borrower has thrown the plans away. A fresh session has none.
 */
export function hasLostPlan(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state === SQLSTATE.featureNotSupported)
    return (error as { routine?: unknown }).routine === 'RevalidateCachedQuery';
  return state === SQLSTATE.invalidSqlStatementName || state === SQLSTATE.duplicatePreparedStatement;
}

/**
 * The name under which `text` is prepared on this session, or `undefined` when it should travel unnamed.
 *
 * A backend keeps a plan for every name: 512 schemas × 20 tables with one name each were measured at 258 MB of one
 * backend's memory. So the first {@link MAX_NAMED_STATEMENTS} texts that a session meets are named, the rest are not.
 */
export function statementName(client: Client, text: string): string | undefined {
  let prepared = preparedOn.get(client);
  if (prepared === undefined) {
    prepared = new Set();
    preparedOn.set(client, prepared);
  }
  if (!prepared.has(text)) {
    if (prepared.size >= MAX_NAMED_STATEMENTS) return undefined;
    prepared.add(text);
  }
  let name = nameOfText.get(text);
  if (name === undefined) {
    name = `hv_${nameOfText.size + 1}`;
    nameOfText.set(text, name);
  }
  return name;
}
