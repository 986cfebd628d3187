import { isUtf8 } from 'node:buffer';
import type { Commit } from '../commit.ts';
import type { CommitMeta } from '../commit-meta.ts';
import { CommitFormatError } from '../errors.ts';
import { cutToBytes, decodeHeaderText, encodeHeaderText, survivesHeader } from './header-text.ts';
import { parseYesNo } from './yes-no.ts';

/** Name, value, name, value … */
export type FlatHeaders = readonly string[];

/** Finds one header of a message, by its lower-case name. */
export type HeaderLookup = (name: string) => string | undefined;

export type TextField = 'Key' | 'Author' | 'Comment';

/** Of a text that is sent exactly beside it, the plain header is for the eye only; both must fit in 16 KiB. */
const MAX_SHOWN_BYTES = 1_000;
const MAX_PLAIN_BYTES = 2_000;

const cache = new WeakMap<Commit<unknown>, FlatHeaders>();

/**
 * The headers of a commit. The names' case matters: the JVM client looks them up as they are written here, and needs
 * all six. A text that a header would change (line ends, spaces at its ends) or that is long is followed by an
 * `X-Hypervault-…` header with its bytes in base64, for clients that know it.
 */
export function commitHeaders(commit: Commit<unknown>): FlatHeaders {
  const known = cache.get(commit);
  if (known !== undefined) return known;
  const { key, version, author, comment, mtime, empty } = commit.meta;
  const headers = [
    ...textHeader('Key', key),
    'X-Rainer-Version',
    String(version),
    ...textHeader('Author', author),
    ...textHeader('Comment', comment),
    'X-Rainer-Modified-Time',
    mtime,
    'X-Rainer-Empty',
    empty ? 'Yes' : 'No',
  ];
  cache.set(commit, headers);
  return headers;
}

function textHeader(field: TextField, text: string): string[] {
  const name = `X-Rainer-${field}`;
  if (survivesHeader(text) && Buffer.byteLength(text) <= MAX_PLAIN_BYTES) return [name, encodeHeaderText(text)];
  const shown = encodeHeaderText(cutToBytes(text, MAX_SHOWN_BYTES));
  return [name, shown, `X-Hypervault-${field}`, Buffer.from(text).toString('base64')];
}

/**
 * A text out of the headers of a message: its exact form when that came, too; `undefined` when there is none.
 *
 * @throws CommitFormatError when the exact form is no base64 of UTF-8
 */
export function readTextHeader(header: HeaderLookup, field: TextField): string | undefined {
  const exact = header(`x-hypervault-${field.toLowerCase()}`);
  if (exact !== undefined) return readExact(exact, field);
  const plain = header(`x-rainer-${field.toLowerCase()}`);
  return plain === undefined ? undefined : decodeHeaderText(plain);
}

function readExact(base64: string, field: TextField): string {
  const bytes = Buffer.from(base64, 'base64');
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(base64) && isUtf8(bytes)) return bytes.toString();
  throw new CommitFormatError(`Malformed header: X-Hypervault-${field}`);
}

/**
 * The meta of a commit from the headers of an answer.
 *
 * @throws CommitFormatError when one of the six is missing
 */
export function metaFromHeaders(header: HeaderLookup): CommitMeta {
  const present = (name: string, text: string | undefined): string => {
    if (text !== undefined) return text;
    throw new CommitFormatError(`the answer has no header ${name}: is there a commit server at this URL?`);
  };
  const plain = (name: string): string => present(name, header(name.toLowerCase()));
  const text = (field: TextField): string => present(`X-Rainer-${field}`, readTextHeader(header, field));
  return {
    key: text('Key'),
    version: Number(plain('X-Rainer-Version')),
    author: text('Author'),
    comment: text('Comment'),
    mtime: plain('X-Rainer-Modified-Time'),
    empty: parseYesNo(plain('X-Rainer-Empty')) ?? false,
  };
}
