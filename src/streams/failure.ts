import { ClosedError, HypervaultError, OutcomeUnknownError } from '../errors.ts';
import { isConnectionLoss, SQLSTATE, SV, sqlStateOf } from '../internal/sqlstate.ts';
import { AccessDeniedError, type StreamsErrorContext } from './errors.ts';

/**
 * What a failed piece of work means for those who would do it again:
 *
 * - `unsent`: no session could be had, nothing was done
 * - `lost`: the session went away; a write may have happened
 * - `again`: the server rolled it back and asks for another try
 * - `moved`: the shard may live elsewhere by now
 * - `final`: trying again changes nothing
 */
export type FailureKind = 'unsent' | 'lost' | 'again' | 'moved' | 'final';

const AGAIN = new Set<string | undefined>([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  SQLSTATE.readOnlySqlTransaction,
  SQLSTATE.lockNotAvailable,
  // The fence of a move: a moment later the map says where to go, and the mirror of the map brings it.
  SV.shardMoved,
  SQLSTATE.sequenceLimitExceeded,
]);

const MOVED = new Set<string | undefined>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedFunction,
  SQLSTATE.invalidSchemaName,
  SQLSTATE.insufficientPrivilege,
]);

export function failureKind(error: unknown): FailureKind {
  if (error instanceof OutcomeUnknownError) return 'lost';
  if (error instanceof ClosedError) return 'final';
  if (error instanceof HypervaultError) return error.retryable ? 'unsent' : 'final';
  const state = sqlStateOf(error);
  if (AGAIN.has(state)) return 'again';
  if (MOVED.has(state)) return 'moved';
  return isConnectionLoss(error) ? 'lost' : 'final';
}

/** What the caller sees of an error: missing rights are typed, all else passes as it is. */
export function explained(error: unknown, context?: StreamsErrorContext): unknown {
  if (sqlStateOf(error) !== SQLSTATE.insufficientPrivilege) return error;
  return new AccessDeniedError(
    `${(error as Error).message}; grant it to the role, or run install() again as the owner`,
    {
      ...context,
      cause: error,
    },
  );
}
