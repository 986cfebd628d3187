import { ServerUnavailableError } from '../../errors.ts';
import { SQLSTATE, sqlStateOf } from '../sqlstate.ts';

/**
 * What a failure of a session means for whoever holds it:
 *
 * - `gone`: the session is dead, or its server is not ready. Connect anew, first try at once.
 * - `role`: the server can't be written to (any more). Look for the primary.
 * - `retry`: the session lives; the same work may succeed when it is done again.
 * - `config`: a person has to change something; trying again is of no use.
 * - `other`: an error of the statement, none of the connection's business.
 */
export type ErrorClass = 'gone' | 'role' | 'retry' | 'config' | 'other';

/**
 * The one table of what was seen, with node-postgres 8.23 on PostgreSQL 15 and 18:
 *
 * | situation | idle session | running statement | new connection |
 * |---|---|---|---|
 * | `pg_terminate_backend` | 57P01, then no code | 57P01; those queued behind it: no code | fine |
 * | stop, fast | 57P01, then no code | 57P01 | 57P03, ECONNRESET, ECONNREFUSED |
 * | stop, immediate | notice 57P01, then no code | no code | ECONNREFUSED |
 * | another backend killed | notice 57P02, then no code | no code | 57P03, or fine |
 * | starting, replaying | – | – | ECONNREFUSED, 57P03 |
 * | a write, LISTEN or NOTIFY on a standby | – | 25006, the session lives | – |
 * | BEGIN READ WRITE on a standby | – | 0A000 | – |
 * | conflict with recovery on a standby | FATAL 40001, then no code | ERROR 40001 | – |
 * | idle too long | 57P05 or 25P03, then no code | – | – |
 * | cancelled, timed out, lock not had | – | 57014, 55P03 | – |
 * | too many sessions | – | – | 53300 |
 * | no such user, wrong password, no such database, no such host | – | – | 28000, 28P01, 3D000, ENOTFOUND |
 * | packets lost | ETIMEDOUT, or nothing | `Query read timeout`, no code | `timeout expired`, no code |
 *
 * node-postgres never makes 08006 or 08003; servers and poolers may send class 08 themselves.
 */
const CLASS_OF_SQLSTATE: Readonly<Record<string, ErrorClass>> = {
  [SQLSTATE.adminShutdown]: 'gone',
  [SQLSTATE.crashShutdown]: 'gone',
  [SQLSTATE.cannotConnectNow]: 'gone',
  [SQLSTATE.idleSessionTimeout]: 'gone',
  [SQLSTATE.idleInTransactionTimeout]: 'gone',
  [SQLSTATE.readOnlySqlTransaction]: 'role',
  [SQLSTATE.serializationFailure]: 'retry',
  [SQLSTATE.deadlockDetected]: 'retry',
  [SQLSTATE.lockNotAvailable]: 'retry',
  [SQLSTATE.tooManyConnections]: 'retry',
  [SQLSTATE.invalidCatalogName]: 'config',
  /** invalid_parameter_value: a channel name or payload too long. */
  '22023': 'config',
};

/** Whole classes of SQLSTATEs, looked at after the single ones. */
const CLASS_OF_SQLSTATE_CLASS: Readonly<Record<string, ErrorClass>> = {
  '08': 'gone',
  '28': 'config',
  '42': 'config',
};

/** feature_not_supported means the role only when BEGIN READ WRITE raised it; the routine tells, in any language. */
const FEATURE_NOT_SUPPORTED = '0A000';
const READ_WRITE_CHECKS = ['check_XactReadOnly', 'check_transaction_read_only'];

/** What node-postgres says without any code when a session, or the way to it, is lost. */
const LOSS_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout expired|There was an error establishing an SSL|the connection was closed)/;

/** What it says when the settings and the server don't fit. */
const MISFIT_MESSAGES = /^(The server does not support SSL|SASL|Password must be a string)/;

/** Classifies an error seen on a session, on a statement, or while connecting. */
export function classifyError(error: unknown): ErrorClass {
  if (!(error instanceof Error)) return 'other';
  const state = sqlStateOf(error);
  if (state === undefined) return classifyWithoutState(error);
  const severity = (error as { severity?: unknown }).severity;
  const fatal = severity === 'FATAL' || severity === 'PANIC';
  const found = CLASS_OF_SQLSTATE[state] ?? CLASS_OF_SQLSTATE_CLASS[state.slice(0, 2)];
  // FATAL ends the session whatever its code; only a conflict with recovery has one that otherwise means "again".
  if (fatal && (found === undefined || state === SQLSTATE.serializationFailure)) return 'gone';
  const routine: unknown = (error as { routine?: unknown }).routine;
  if (state === FEATURE_NOT_SUPPORTED && READ_WRITE_CHECKS.includes(String(routine))) return 'role';
  return found ?? 'other';
}

/** Whether a session that could not be opened leaves it in doubt that its host has the role. */
export function mayHaveMoved(error: unknown): boolean {
  if (error instanceof ServerUnavailableError) return true;
  const kind = classifyError(error);
  return kind !== 'config' && kind !== 'retry';
}

function classifyWithoutState(error: Error): ErrorClass {
  const code: unknown = (error as { code?: unknown }).code;
  if (typeof code === 'string') {
    if (code === 'ENOTFOUND') return 'config';
    if (isCertificateError(code)) return 'config';
    return /^(E[A-Z]|ERR_SOCKET|ERR_STREAM|ERR_SSL)/.test(code) ? 'gone' : 'other';
  }
  if (error instanceof AggregateError) {
    // Node tried every address of a name; one that may come back is enough to try again.
    const classes = error.errors.map(classifyError);
    return classes.find((found) => found === 'gone') ?? classes[0] ?? 'other';
  }
  if (MISFIT_MESSAGES.test(error.message)) return 'config';
  return LOSS_MESSAGES.test(error.message) ? 'gone' : 'other';
}

function isCertificateError(code: string): boolean {
  return /CERT|ERR_TLS|SELF_SIGNED|UNABLE_TO_/.test(code);
}
