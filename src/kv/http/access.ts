import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { Refusal } from './refusal.ts';

/** Which keys may be read or written, by the texts they begin with; `''` is every key. */
export interface AccessRights {
  /** @default none */
  readonly read?: readonly string[] | undefined;
  /** @default none */
  readonly write?: readonly string[] | undefined;
}

/** A bearer token: who carries it, and what they may do. */
export interface CommitToken extends AccessRights {
  /** At least 16 characters; or leave it out and give `sha256`. */
  readonly token?: string | undefined;
  /** The SHA-256 of the token in hexadecimal, so that the token itself need not be kept here. */
  readonly sha256?: string | undefined;
  /** The author of every commit made with it, whatever the request says. */
  readonly author: string;
}

/** What the sender of one request may do. */
export interface Access {
  /** Who commits; `undefined` when the request says so itself. */
  readonly author: string | undefined;
  /** The texts that keys begin with which may be read and written. */
  readonly rights: { readonly read: readonly string[]; readonly write: readonly string[] };
  mayRead(key: string): boolean;
  mayWrite(key: string): boolean;
}

/** Finds out who sent a request. @throws Refusal 401 */
export type Authorize = (request: IncomingMessage) => Access;

const everything: Access = accessOf({ read: [''], write: [''] }, undefined);

/** Who asks for what holds no data. */
export const NOBODY: Access = accessOf({}, undefined);

/**
 * Without tokens, whoever reaches the server may do everything, as with Rainer. With tokens, requests without one
 * have the rights of `anonymous`, and a wrong one is always refused.
 *
 * @throws ConfigurationError naming the token by its place, never by its text
 */
export function makeAuthorize(tokens: readonly CommitToken[] | undefined, anonymous: AccessRights = {}): Authorize {
  checkRights(anonymous, 'anonymous', []);
  if (tokens === undefined) return () => everything;
  const known = tokens.map((token, index) => ({
    digest: digestOf(token, `tokens[${index}]`),
    access: accessOf(token, token.author),
  }));
  const nobody = anonymous.read || anonymous.write ? accessOf(anonymous, undefined) : undefined;
  return ({ headers: { authorization } }) => {
    if (authorization === undefined && nobody !== undefined) return nobody;
    const [, sent] = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '') ?? [];
    // Compared with all of them, digest by digest, so that the time says nothing about how near a guess was.
    const digest = sha256(sent ?? '');
    let found: Access | undefined;
    for (const { digest: expected, access } of known) if (timingSafeEqual(digest, expected)) found = access;
    if (sent !== undefined && found !== undefined) return found;
    const reason = authorization === undefined ? '' : ', error="invalid_token"';
    throw new Refusal(401, authorization === undefined ? 'A bearer token is needed' : 'The bearer token is not known', [
      'WWW-Authenticate',
      `Bearer realm="commits"${reason}`,
    ]);
  };
}

function accessOf({ read = [], write = [] }: AccessRights, author: string | undefined): Access {
  return {
    author,
    rights: { read, write },
    mayRead: (key) => read.some((prefix) => key.startsWith(prefix)),
    mayWrite: (key) => write.some((prefix) => key.startsWith(prefix)),
  };
}

function digestOf(token: CommitToken, where: string): Buffer {
  checkRights(token, where, ['token', 'sha256', 'author']);
  if (typeof token.author !== 'string') throw new ConfigurationError(`${where}: "author" is missing`);
  if ((token.token === undefined) === (token.sha256 === undefined)) {
    throw new ConfigurationError(`${where}: give one of "token" and "sha256"`);
  }
  if (token.sha256 !== undefined) {
    if (/^[0-9a-f]{64}$/i.test(token.sha256)) return Buffer.from(token.sha256, 'hex');
    throw new ConfigurationError(`${where}: "sha256" must be 64 hexadecimal digits`);
  }
  if (typeof token.token === 'string' && /^[\x21-\x7e]{16,}$/.test(token.token)) return sha256(token.token);
  throw new ConfigurationError(`${where}: "token" must be at least 16 printable ASCII characters without spaces`);
}

function checkRights(rights: AccessRights, where: string, others: readonly string[]): void {
  assertKnownKeys(rights, [...others, 'read', 'write'], where);
  for (const name of ['read', 'write'] as const) {
    const prefixes = rights[name];
    if (prefixes === undefined || (Array.isArray(prefixes) && prefixes.every((each) => typeof each === 'string')))
      continue;
    throw new ConfigurationError(`${where}: "${name}" must be a list of texts that keys begin with`);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
