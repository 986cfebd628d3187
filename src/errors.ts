/**
 * Every error this package throws on purpose.
 *
 * ```
 * HypervaultError                 code, retryable, cause
 * ├─ ConfigurationError           an option, a file or a command is wrong; nothing was started
 * ├─ InvalidArgumentError         a value passed to a call is wrong; nothing reached the server
 * ├─ AbortedError                 the caller's signal fired (also name 'AbortError' for `signal` users)
 * ├─ ClosedError                  the object was closed, or is closing
 * ├─ TimeoutError                 a bounded wait ended
 * ├─ ServerUnavailableError       no connection could be had (refused, unreachable, starting, no primary)
 * ├─ AuthenticationError          the server refused the user or the password
 * ├─ PermissionError              the role lacks a right (the sentence names the GRANT)
 * ├─ OutcomeUnknownError          sent, and the reply was lost: the write may or may not have happened
 * ├─ SchemaError                  the database is not installed, too old or too new, or lacks an extension
 * └─ …                            each module adds its own in <module>/errors.ts
 * ```
 *
 * Errors raised by Postgres for a reason of its own pass through unchanged, with their SQLSTATE in `code`.
 *
 * @module
 */

/** How an error is made: `cause` is kept, `retryable` is decided where the error is thrown. */
export interface HypervaultErrorOptions {
  readonly cause?: unknown;
  readonly retryable?: boolean | undefined;
}

/**
 * Base of every error of this package.
 *
 * @example
 * ```ts
 * try { await db.get(key); } catch (error) {
 *   if (error instanceof HypervaultError && error.retryable) return again();
 *   throw error;
 * }
 * ```
 */
export class HypervaultError extends Error {
  /** A stable name for programs, e.g. `POOL_TIMEOUT`. */
  readonly code: string;
  /** Whether the same call may be made again without doing anything twice. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: HypervaultErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** An option, a configuration file or a command line is wrong. Thrown before anything is started. */
export class ConfigurationError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('CONFIGURATION', message, options);
  }
}

/** A value passed to a call is wrong. Thrown before anything reaches a server. */
export class InvalidArgumentError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('INVALID_ARGUMENT', message, options);
  }
}

/** The caller's `AbortSignal` fired. `cause` is the signal's reason. */
export class AbortedError extends HypervaultError {
  constructor(what: string, reason: unknown) {
    super('ABORTED', `${what} was aborted by its signal`, { cause: reason });
  }
}

/** The object was closed, or is closing. */
export class ClosedError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('CLOSED', message, options);
  }
}

/** A bounded wait ended. */
export class TimeoutError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('TIMEOUT', message, { retryable: true, ...options });
  }
}

/** No connection could be had: refused, unreachable, starting up, or no host with the wanted role. */
export class ServerUnavailableError extends HypervaultError {
  readonly server: string;

  constructor(server: string, message: string, options?: HypervaultErrorOptions) {
    super('SERVER_UNAVAILABLE', message, { retryable: true, ...options });
    this.server = server;
  }
}

/** The server refused the user or the password. The message never holds the password. */
export class AuthenticationError extends HypervaultError {
  readonly server: string;

  constructor(server: string, message: string, options?: HypervaultErrorOptions) {
    super('AUTHENTICATION', message, options);
    this.server = server;
  }
}

/** The role lacks a right; the sentence names the GRANT that is missing. */
export class PermissionError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('PERMISSION', message, options);
  }
}

/** A write was sent and its reply was lost: it may or may not have happened. */
export class OutcomeUnknownError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('OUTCOME_UNKNOWN', message, options);
  }
}

/** The database is not installed, is of another version, or lacks an extension. */
export class SchemaError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('SCHEMA', message, options);
  }
}
