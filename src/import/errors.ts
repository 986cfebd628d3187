import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';

/**
 * Errors of the import.
 *
 * ```
 * HypervaultError
 * └─ ImportError                  something about a source, a table or a replica
 *    ├─ PreflightError            the source or the target is not fit; `problems` lists everything at once
 *    ├─ MissingPeerError          an optional package is not installed; the sentence names the command
 *    ├─ SourceUnavailableError    no connection to the source (retryable)
 *    ├─ BinlogPurgedError         the source no longer has the position we stopped at
 *    ├─ UnreadableLogError        the source's log has something that cannot be read; a new copy is the way on
 *    ├─ ReplicaStateError         the command does not fit the state the source is in
 *    ├─ LockLostError             the session that held the right to work on the source ended (retryable)
 *    └─ UnrepresentableValueError a value fits nowhere, and the policy of its column is `error`
 * ```
 *
 * @module
 */
export class ImportError extends HypervaultError {
  constructor(code: string, message: string, options?: HypervaultErrorOptions) {
    super(code, message, options);
  }
}

/** One thing found before anything was changed. */
export interface Problem {
  readonly level: 'error' | 'warning';
  /** `schema.table`, when it is about one table. */
  readonly table: string | null;
  readonly message: string;
  /** Statements for the source that mend it. */
  readonly sql?: readonly string[] | undefined;
}

/** The source or the target is not fit for an import. Nothing was changed. */
export class PreflightError extends ImportError {
  readonly problems: readonly Problem[];

  constructor(source: string, problems: readonly Problem[], step: 'imported' | 'switched' = 'imported') {
    const errors = problems.filter(({ level }) => level === 'error');
    const lines = errors.map(({ table, message }) => `  - ${table === null ? '' : `${table}: `}${message}`);
    super('IMPORT_PREFLIGHT', `source ${source} cannot be ${step} yet:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** An optional peer dependency is needed and not installed. */
export class MissingPeerError extends ImportError {
  constructor(packages: readonly string[], purpose: string, options?: HypervaultErrorOptions) {
    super(
      'MISSING_PEER',
      `${purpose} needs the ${packages.length > 1 ? 'packages' : 'package'} ${packages.join(' and ')}: npm install ${packages.join(' ')}`,
      options,
    );
  }
}

/** No connection to the source could be had, or it was lost. */
export class SourceUnavailableError extends ImportError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('SOURCE_UNAVAILABLE', message, { retryable: true, ...options });
  }
}

/** The source has thrown away the part of its log that the replica still needs. */
export class BinlogPurgedError extends ImportError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('BINLOG_PURGED', message, options);
  }
}

/** The source's log holds changes in a form that cannot be read. */
export class UnreadableLogError extends ImportError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('UNREADABLE_LOG', message, options);
  }
}

/** The session that held the lock of a source ended, so that another process may work on it by now. */
export class LockLostError extends ImportError {
  constructor(source: string) {
    super(
      'LOCK_LOST',
      `the session in the control database that held the lock of the source ${source} was lost; run the command again`,
      { retryable: true },
    );
  }
}

/** The command does not fit the state the source is in. */
export class ReplicaStateError extends ImportError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('REPLICA_STATE', message, options);
  }
}

/** A value fits nowhere in the target, and the policy of its column is `error`. */
export class UnrepresentableValueError extends ImportError {
  readonly table: string;
  readonly column: string;

  constructor(table: string, column: string, value: string, reason: string) {
    super(
      'UNREPRESENTABLE_VALUE',
      `${table}.${column}: ${JSON.stringify(value.slice(0, 80))} ${reason}; ` +
        `set value_policy for "${table}.${column}" to null or to a value, or choose another type with type_override`,
    );
    this.table = table;
    this.column = column;
  }
}
