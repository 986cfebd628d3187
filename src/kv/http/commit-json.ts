import type { ValueCodec } from '../codec.ts';
import { Commit, type CommitInput } from '../commit.ts';
import { type CommitMeta, parseCommitMeta } from '../commit-meta.ts';
import { CommitFormatError } from '../errors.ts';

/** Which forms of the payload go along. */
export interface PayloadForms {
  readonly utf8: boolean;
  readonly base64: boolean;
}

/** A commit in a JSON answer: its meta, its revision as decimal text when it has one, its payload as asked for. */
export interface CommitJson extends CommitMeta {
  readonly revision?: string;
  readonly payload_utf8?: string;
  readonly payload_base64?: string;
}

/** Payloads are left out of tombstones. */
export function toCommitJson(commit: Commit<unknown>, { utf8, base64 }: PayloadForms): CommitJson {
  const { payload, revision } = commit;
  return {
    ...commit.meta,
    ...(revision !== undefined && { revision: revision.toString() }),
    ...(utf8 && payload && { payload_utf8: payload.toString('utf8') }),
    ...(base64 && payload && { payload_base64: payload.toString('base64') }),
  };
}

/** @throws CommitFormatError, InvalidArgumentError */
export function fromCommitJson<V>(json: unknown, codec: ValueCodec<V> | undefined): Commit<V> {
  const { key, empty } = parseCommitMeta(json);
  const { payload_base64: payload } = json as Record<string, unknown>;
  if (empty) return withPayload(json, null, codec);
  if (typeof payload !== 'string') throw new CommitFormatError(`the answer has no payload_base64 for ${key}`);
  return withPayload(json, Buffer.from(payload, 'base64'), codec);
}

/** The commit that an answer describes, whose payload is known already. @throws CommitFormatError, InvalidArgumentError */
export function withPayload<V>(json: unknown, payload: Buffer | null, codec: ValueCodec<V> | undefined): Commit<V> {
  const meta = parseCommitMeta(json);
  const { revision } = json as Record<string, unknown>;
  const known = typeof revision === 'string' && /^\d{1,19}$/.test(revision);
  return new Commit<V>({ ...meta, payload, revision: known ? BigInt(revision) : undefined }, codec);
}

/**
 * One commit of a `POST /-/commits`: `key`, `version`, `payload_utf8` or `payload_base64` or `"empty": true`, and
 * optionally `author`, `comment`, `mtime`.
 *
 * @throws CommitFormatError naming the field
 */
export function commitInputOf(json: unknown, author: string | undefined): CommitInput {
  if (typeof json !== 'object' || json === null) throw new CommitFormatError('each commit must be a JSON object');
  const {
    key,
    version,
    empty = false,
    payload_utf8: utf8,
    payload_base64: base64,
    ...rest
  } = json as Record<string, unknown>;
  if (typeof key !== 'string') throw new CommitFormatError('each commit needs "key" as a JSON string');
  if (typeof version !== 'number') throw new CommitFormatError(`${key}: "version" must be a JSON number`);
  if (typeof empty !== 'boolean') throw new CommitFormatError(`${key}: "empty" must be a JSON boolean`);
  const forms = [utf8, base64].filter((form) => form !== undefined);
  if (forms.length !== (empty ? 0 : 1) || forms.some((form) => typeof form !== 'string')) {
    throw new CommitFormatError(`${key}: give one of "payload_utf8", "payload_base64" and "empty": true`);
  }
  const text = (name: 'author' | 'comment' | 'mtime'): string | undefined => {
    const value = rest[name];
    if (value === undefined || typeof value === 'string') return value;
    throw new CommitFormatError(`${key}: ${JSON.stringify(name)} must be a JSON string`);
  };
  return {
    key,
    version,
    payload: empty ? null : utf8 === undefined ? Buffer.from(String(base64), 'base64') : Buffer.from(String(utf8)),
    author: author ?? text('author'),
    comment: text('comment'),
    mtime: text('mtime'),
  };
}
