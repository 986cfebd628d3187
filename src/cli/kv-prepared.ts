import { parse, stringify } from 'yaml';
import { HypervaultError } from '../errors.ts';
import type { Commit, CommitInput } from '../kv/index.ts';
import { wholeNumber } from './arguments.ts';

const SEPARATOR = '---\n';

/** The next commit of a key as text that a person can edit: a YAML header, a line `---`, the payload as it is. */
export function prepare(
  head: Commit | null,
  author: string,
  { empty = false }: { readonly empty?: boolean } = {},
): Buffer {
  const fields = { author, comment: '', ...(empty && { empty }), version: (head?.version ?? 0) + 1 };
  const header = stringify(fields, { singleQuote: true, lineWidth: 0 });
  const payload = empty ? null : (head?.payload ?? null);
  return Buffer.concat([Buffer.from(header + SEPARATOR), payload ?? Buffer.alloc(0)]);
}

/** What the text says is to be committed. @throws HypervaultError when it can't be understood */
export function parsePrepared(text: Buffer, key: string, defaultAuthor: string): CommitInput {
  // The first line of dashes ends the header; further ones belong to the payload.
  const at = text.indexOf(`\n${SEPARATOR}`);
  if (at < 0) throw malformed('there is no line "---" between header and payload');
  const { author = defaultAuthor, comment = '', version, empty = false } = parseHeader(text.subarray(0, at).toString());
  if (typeof author !== 'string' || typeof comment !== 'string') throw malformed('author and comment must be texts');
  if (typeof version !== 'number' || !Number.isInteger(version)) throw malformed('version must be a whole number');
  if (typeof empty !== 'boolean') throw malformed('empty must be true or false');
  const payload = text.subarray(at + 1 + SEPARATOR.length);
  if (empty && payload.length > 0) throw malformed('empty is true, and there is a payload');
  return { key, version, author, comment, payload: empty ? null : payload };
}

function parseHeader(text: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = parse(text);
  } catch (cause) {
    throw malformed(`the header is no YAML: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (typeof header === 'object' && header !== null && !Array.isArray(header)) return header as Record<string, unknown>;
  throw malformed('the header must be lines like "version: 2"');
}

function malformed(reason: string): HypervaultError {
  return new HypervaultError('PREPARED_TEXT', `the prepared commit can't be read: ${reason}`);
}

/** Versions on the command line. */
export const versionArgument = wholeNumber('VERSION', 0, 2 ** 31 - 1);
