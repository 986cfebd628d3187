import { InvalidArgumentError, SchemaError } from '../errors.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { checkChannel, MAX_PAYLOAD_BYTES } from './channel.ts';

/** Anything that runs a statement: a client or pool of node-postgres, a cursor of the Datastore. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<unknown>;
}

export interface NotifyOptions {
  /**
   * Stores a payload that is too large in a table of ours, and sends its id; listeners with `payloads: true` get the
   * text itself. Needs the schema of module `listen` in the database. @default false
   */
  readonly spill?: boolean | undefined;
}

/**
 * Sends a notification, in the client's transaction if one is open: it goes out at its commit.
 *
 * Two with the same channel and payload in one transaction arrive once. Postgres takes one lock for all commits that
 * notify, in the whole database: notify once per batch, not once per row.
 *
 * @example
 * ```ts
 * await notify(pool, 'jobs', JSON.stringify({ id }));
 * await notify(pool, 'reports', hugeText, { spill: true });
 * ```
 * @throws InvalidArgumentError before anything is sent: channel empty, over 63 bytes or with NUL; payload over
 *   7,999 bytes without `spill`, or with NUL. SchemaError when the table for `spill` is missing.
 */
export async function notify(
  target: Queryable,
  channel: string,
  payload = '',
  { spill = false }: NotifyOptions = {},
): Promise<void> {
  checkChannel(channel);
  if (typeof payload !== 'string') throw new InvalidArgumentError('payload: give a text; JSON.stringify makes one');
  if (payload.includes('\0')) throw new InvalidArgumentError('payload: the text may not hold a NUL character');
  if (/\p{Surrogate}/u.test(payload)) throw new InvalidArgumentError('payload: it holds half of a surrogate pair');
  const bytes = Buffer.byteLength(payload);
  if (bytes <= MAX_PAYLOAD_BYTES) {
    await target.query('select pg_notify($1, $2)', [channel, payload]);
    return;
  }
  if (!spill) {
    const how = 'send the id of a row, or give { spill: true }';
    throw new InvalidArgumentError(`payload: it has ${bytes} bytes, NOTIFY takes ${MAX_PAYLOAD_BYTES}; ${how}`);
  }
  try {
    await target.query('select hypervault.notify_spilled($1, $2)', [channel, payload]);
  } catch (cause) {
    const state = sqlStateOf(cause);
    if (state !== SQLSTATE.undefinedFunction && state !== SQLSTATE.invalidSchemaName) throw cause;
    throw new SchemaError('large payloads have no table in this database; run hypervault init', { cause });
  }
}
