import type { Commit } from '../commit.ts';
import { type CommitMeta, parseCommitMeta } from '../commit-meta.ts';
import { CommitFormatError } from '../errors.ts';
import { cutToBytes, decodeHeaderText, encodeHeaderText, survivesHeader } from './header-text.ts';
import { parseYesNo } from './yes-no.ts';

/** Carries the meta in full, as base64 of its JSON, when a plain header would change it. Ours; Rainer has none. */
export const EXACT_META_HEADER = 'X-Hypervault-Meta';

/** With the exact meta beside it, a comment in its plain header is for the eye only; both must fit in 16 KiB. */
const MAX_SHOWN_BYTES = 1_000;

const cache = new WeakMap<Commit<unknown>, readonly string[]>();

/**
 * The headers of a commit as name, value, name, value …
 * The names' case matters: the JVM client looks them up as they are written here, and needs all six.
 */
export function commitHeaders(commit: Commit<unknown>): readonly string[] {
  const known = cache.get(commit);
  if (known !== undefined) return known;
  const { key, version, author, comment, mtime, empty } = commit.meta;
  const exact = [key, author, comment].every(survivesHeader) && Buffer.byteLength(comment) <= 2 * MAX_SHOWN_BYTES;
  const headers = [
    ...['X-Rainer-Key', encodeHeaderText(key)],
    ...['X-Rainer-Version', String(version)],
    ...['X-Rainer-Author', encodeHeaderText(author)],
    ...['X-Rainer-Comment', encodeHeaderText(exact ? comment : cutToBytes(comment, MAX_SHOWN_BYTES))],
    ...['X-Rainer-Modified-Time', mtime],
    ...['X-Rainer-Empty', empty ? 'Yes' : 'No'],
    ...(exact ? [] : [EXACT_META_HEADER, Buffer.from(JSON.stringify(commit.meta)).toString('base64')]),
  ];
  cache.set(commit, headers);
  return headers;
}

/** Finds one header of a message, by its lower-case name. */
export type HeaderLookup = (name: string) => string | undefined;

/**
 * The meta of a commit from the headers of an answer.
 *
 * @throws CommitFormatError when one of the six is missing or malformed
 */
export function metaFromHeaders(header: HeaderLookup): CommitMeta {
  const exact = exactMeta(header);
  if (exact !== undefined) return exact;
  const text = (name: string): string => {
    const raw = header(name.toLowerCase());
    if (raw === undefined) throw new CommitFormatError(`the answer has no header ${name}: is this a commit server?`);
    return decodeHeaderText(raw);
  };
  return {
    key: text('X-Rainer-Key'),
    version: Number(text('X-Rainer-Version')),
    author: text('X-Rainer-Author'),
    comment: text('X-Rainer-Comment'),
    mtime: text('X-Rainer-Modified-Time'),
    empty: parseYesNo(text('X-Rainer-Empty')) ?? false,
  };
}

/** What {@link EXACT_META_HEADER} says, when it is there. @throws CommitFormatError */
export function exactMeta(header: HeaderLookup): CommitMeta | undefined {
  const raw = header(EXACT_META_HEADER.toLowerCase());
  if (raw === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(raw, 'base64').toString());
  } catch (cause) {
    throw new CommitFormatError(`malformed header: ${EXACT_META_HEADER}`, { cause });
  }
  return parseCommitMeta(json);
}
