import { AuthenticationError, ConfigurationError, HypervaultError, ServerUnavailableError } from '../../errors.ts';
import { SQLSTATE, sqlStateOf } from '../sqlstate.ts';
import { classifyError } from './error-class.ts';

/** Turns what node-postgres says when a connection can't be had into one of our typed errors; `cause` is kept. */
export function connectionError(
  cause: unknown,
  label: string,
  { connectedBefore = false }: { connectedBefore?: boolean } = {},
): HypervaultError {
  if (cause instanceof HypervaultError) return cause;
  const reason = reasonOf(cause);
  const state = sqlStateOf(cause);
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (state === SQLSTATE.invalidPassword || state === SQLSTATE.invalidAuthorization || /^SASL/.test(reason)) {
    return new AuthenticationError(label, `${label} refused the user or the password: ${reason}`, { cause });
  }
  if (state === SQLSTATE.invalidCatalogName) {
    return new ConfigurationError(`${label}: ${reason}; create the database, or correct 'database'`, { cause });
  }
  if (code === 'ENOTFOUND') {
    // A name that was never found is misspelt; one that was found before is an outage of the name service.
    return new ServerUnavailableError(label, `no connection to ${label}: the name was not found; check 'hosts'`, {
      cause,
      retryable: connectedBefore,
    });
  }
  if (classifyError(cause) === 'config') {
    return new ConfigurationError(`${label}: ${reason}; correct the connection's settings`, { cause });
  }
  return new ServerUnavailableError(label, `no connection to ${label}: ${reason}`, { cause });
}

/** The message of an error; Node's AggregateError (every address of a name was tried) has an empty one of its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.message || error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
