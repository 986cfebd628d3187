import { CommitFormatError } from './errors.ts';

/** The fields of a commit beside its payload, exactly as they stand in JSON on the wire. */
export interface CommitMeta {
  readonly key: string;
  readonly version: number;
  readonly author: string;
  readonly comment: string;
  /** ISO 8601, UTC, three digits of fraction. */
  readonly mtime: string;
  readonly empty: boolean;
}

/**
 * Reads a meta JSON object. As strict as the JVM client: a version in quotes is refused, a missing `empty` is `false`.
 *
 * @throws CommitFormatError naming the field
 */
export function parseCommitMeta(json: unknown): CommitMeta {
  if (typeof json !== 'object' || json === null) throw new CommitFormatError('the meta of a commit is no JSON object');
  const { key, version, author, comment, mtime, empty = false } = json as Record<string, unknown>;
  if (typeof version !== 'number') throw wrong('version', 'number');
  if (typeof empty !== 'boolean') throw wrong('empty', 'boolean');
  return {
    key: text('key', key),
    version,
    author: text('author', author),
    comment: text('comment', comment),
    mtime: text('mtime', mtime),
    empty,
  };
}

function text(field: string, value: unknown): string {
  if (typeof value !== 'string') throw wrong(field, 'string');
  return value;
}

function wrong(field: string, type: string): CommitFormatError {
  return new CommitFormatError(`the meta of a commit needs ${JSON.stringify(field)} as a JSON ${type}`);
}
