import { ConfigurationError, InvalidArgumentError } from '../../errors.ts';
import { CommitFormatError, CommitOrderingError, HttpStorageError, RevisionCompactedError } from '../errors.ts';
import type { CallOptions } from '../storage.ts';
import { callHttp, type HttpAnswer } from './client.ts';

/** How a commit server is reached. */
export interface RemoteOptions {
  /** Where the commit server is mounted, e.g. `http://config:8080/diary`. */
  readonly url: string | URL;
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** Certificates to trust, for https. @default the system's */
  readonly ca?: string | Uint8Array | undefined;
  /** Bound of one request; 0 waits for ever. @default 30000 */
  readonly timeoutMs?: number | undefined;
}

export interface RemoteCall {
  readonly method: 'GET' | 'POST';
  /** Below the base, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | undefined;
}

/** Requests to one commit server. */
export class Remote {
  readonly #base: string;
  readonly #options: RemoteOptions;

  /** @throws ConfigurationError */
  constructor(options: RemoteOptions) {
    this.#base = checkedUrl(options.url);
    this.#options = options;
  }

  url(path: string): URL {
    return new URL(`${this.#base}${path}`);
  }

  get ca(): RemoteOptions['ca'] {
    return this.#options.ca;
  }

  get authorization(): Readonly<Record<string, string>> {
    const { token } = this.#options;
    return token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  call({ method, path, headers, body }: RemoteCall, { signal }: CallOptions = {}): Promise<HttpAnswer> {
    const { timeoutMs = 30_000, ca } = this.#options;
    const all = { ...headers, ...this.authorization };
    return callHttp({ method, url: this.url(path), headers: all, body, timeoutMs, ca, signal });
  }
}

/** A key as a path segment. `.` and `..` have no such form: URLs swallow them, escaped or not. */
export function keyPath(key: string): string {
  if (key === '.' || key === '..') throw new InvalidArgumentError(`the key ${JSON.stringify(key)} can't be in a URL`);
  return `/${encodeURIComponent(key)}`;
}

/** `?a=1&b=2` of the parameters that are given. */
export function queryOf(parameters: Readonly<Record<string, string | number | bigint | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? '' : `?${query}`;
}

/** @throws CommitFormatError */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(body.toString());
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new CommitFormatError('the answer is no JSON object: is there a commit server at this URL?');
}

/**
 * Nothing for a success; else the error that the answer stands for. A 409 whose body can be read is a conflict, a 410
 * a compacted history; all others are failures alike.
 */
export function assertSuccess({ status, reason, body }: Pick<HttpAnswer, 'status' | 'reason' | 'body'>): void {
  if (status >= 200 && status <= 299) return;
  if (status === 409 || status === 410) throwTyped(body);
  throw new HttpStorageError(status, reason, body.toString(), { retryable: status === 503 });
}

/** Throws what the body of a 409, a 410 or a `compacted` event says, if it says it. */
export function throwTyped(body: Buffer): void {
  let json: Record<'conflict' | 'compacted', Record<string, unknown> | undefined>;
  try {
    json = parseJsonObject(body) as typeof json;
  } catch {
    return;
  }
  const { key, expectedVersion, providedVersion } = json.conflict ?? {};
  if (typeof key === 'string' && typeof expectedVersion === 'number' && typeof providedVersion === 'number') {
    throw new CommitOrderingError(key, expectedVersion, providedVersion);
  }
  const { revision, compactedThrough } = json.compacted ?? {};
  if (/^\d+$/.test(String(revision)) && /^\d+$/.test(String(compactedThrough))) {
    throw new RevisionCompactedError(BigInt(String(revision)), BigInt(String(compactedThrough)));
  }
}

function checkedUrl(text: string | URL): string {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') {
    return url.href.replace(/\/+$/, '');
  }
  throw new ConfigurationError(
    'HttpCommitStorage: option "url" must be an http or https URL without query, like http://127.0.0.1:8080/diary',
  );
}
