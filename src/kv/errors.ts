/**
 * Errors of the key/value module.
 *
 * ```
 * HypervaultError
 * ├─ CommitOrderingError       save: the version is not the newest one + 1; nothing was written
 * ├─ ConcurrentCommitError     keeper: the latest version there is the same or newer, and differs
 * ├─ CommitFormatError         bytes or a header that should hold a commit do not (envelope, meta JSON, time)
 * ├─ CommitRefusedError        a pre-save hook or the codec refused the commit; nothing was written
 * ├─ RevisionCompactedError    watch: the history after that revision is no longer whole; list again
 * ├─ HttpStorageError          the server at the other end of HttpCommitStorage answered with an error
 * └─ UnsupportedByStorageError the storage keeps no revisions (a Rainer server, a storage of one's own)
 * ```
 *
 * @module
 */
import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';

/**
 * A save whose version was not the next one of its key: somebody else was faster, or the caller read an old version.
 * Nothing was written. Read the key again and decide anew.
 */
export class CommitOrderingError extends HypervaultError {
  readonly key: string;
  /** The version a save would have had to carry. */
  readonly expectedVersion: number;
  /** The version it carried. */
  readonly providedVersion: number;

  constructor(key: string, expectedVersion: number, providedVersion: number, options?: HypervaultErrorOptions) {
    super(
      'COMMIT_ORDERING',
      `Concurrent modification: ${key}: requested version (${providedVersion}) ` +
        `was not next available version (${expectedVersion})`,
      options,
    );
    this.key = key;
    this.expectedVersion = expectedVersion;
    this.providedVersion = providedVersion;
  }
}

/** A keeper holds the same or a newer version of the key with other content, so this one was not published. */
export class ConcurrentCommitError extends HypervaultError {
  readonly key: string;
  /** The version that is known already. */
  readonly presentVersion: number;
  readonly providedVersion: number;

  constructor(key: string, presentVersion: number, providedVersion: number, options?: HypervaultErrorOptions) {
    super(
      'CONCURRENT_COMMIT',
      `Refusing to publish ${key} at version ${providedVersion}: version ${presentVersion} is known already`,
      options,
    );
    this.key = key;
    this.presentVersion = presentVersion;
    this.providedVersion = providedVersion;
  }
}

/** Bytes, a JSON object or a time that should describe a commit do not. */
export class CommitFormatError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('COMMIT_FORMAT', message, options);
  }
}

/**
 * Thrown by a pre-save hook to refuse a commit for a reason its author should read:
 * over HTTP the message becomes the body of a 400.
 *
 * @example
 * ```ts
 * withPreSaveHook(storage, (commit) => {
 *   if (commit.comment === '') throw new CommitRefusedError('please say why in the comment');
 * });
 * ```
 */
export class CommitRefusedError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('COMMIT_REFUSED', message, options);
  }
}

/** What happened after the asked revision is no longer known in full: list the keys, then watch from there. */
export class RevisionCompactedError extends HypervaultError {
  /** The revision that was asked for. */
  readonly revision: bigint;
  /** The oldest revision a watch can start after. */
  readonly compactedThrough: bigint;

  constructor(revision: bigint, compactedThrough: bigint, options?: HypervaultErrorOptions) {
    super(
      'REVISION_COMPACTED',
      `the changes after revision ${revision} are no longer all there (compacted through ${compactedThrough}): ` +
        'list the keys, then watch from the revision of that list',
      options,
    );
    this.revision = revision;
    this.compactedThrough = compactedThrough;
  }
}

/** The commit server answered with something other than success. */
export class HttpStorageError extends HypervaultError {
  readonly status: number;
  /** The words beside the status, e.g. `Not Found`. */
  readonly reason: string;
  /** The body of the answer, at most its first 4096 characters. */
  readonly body: string;

  constructor(status: number, reason: string, body: string, options?: HypervaultErrorOptions) {
    super('HTTP_STORAGE', `HTTP request failed: ${status} ${reason}: ${body.slice(0, 4096)}`, options);
    this.status = status;
    this.reason = reason;
    this.body = body.slice(0, 4096);
  }
}

/** The storage does not keep what this call needs (revisions, history, several keys at once). */
export class UnsupportedByStorageError extends HypervaultError {
  constructor(what: string, options?: HypervaultErrorOptions) {
    super('UNSUPPORTED_BY_STORAGE', `this storage does not offer ${what}`, options);
  }
}
