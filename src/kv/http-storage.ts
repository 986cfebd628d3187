import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ValueCodec } from './codec.ts';
import { Commit, type CommitInput } from './commit.ts';
import { parseCommitMeta } from './commit-meta.ts';
import { CommitFormatError, CommitOrderingError, HttpStorageError } from './errors.ts';
import { callHttp, type HttpAnswer, type HttpCall } from './http/client.ts';
import { commitHeaders, metaFromHeaders } from './http/commit-headers.ts';
import type { CallOptions, CommitStorage, HeadsOptions } from './storage.ts';

export interface HttpStorageOptions<V> {
  /** Where the commit server is mounted, e.g. `http://config:8080/diary`. */
  readonly url: string | URL;
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** Certificates to trust, for https. @default the system's */
  readonly ca?: string | Uint8Array | undefined;
  /** Bound of one request; 0 waits for ever. @default 30000 */
  readonly timeoutMs?: number | undefined;
  /** @default the bytes are the value */
  readonly codec?: ValueCodec<V> | undefined;
}

const KEYS = [
  'url',
  'token',
  'ca',
  'timeoutMs',
  'codec',
] as const satisfies readonly (keyof HttpStorageOptions<unknown>)[];

/**
 * A storage at the other end of HTTP: our server's, or a Rainer server's.
 *
 * @example
 * ```ts
 * const storage = new HttpCommitStorage({ url: 'http://127.0.0.1:8080/diary' });
 * const head = await storage.get('foo');
 * ```
 */
export class HttpCommitStorage<V = Buffer> implements CommitStorage<V> {
  readonly codec: ValueCodec<V> | undefined;
  readonly #base: URL;
  readonly #options: HttpStorageOptions<V>;

  /** @throws ConfigurationError */
  constructor(options: HttpStorageOptions<V>) {
    assertKnownKeys(options, KEYS, 'HttpCommitStorage options');
    this.#base = checkedUrl(options.url);
    this.#options = options;
    this.codec = options.codec;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  heads(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return this.#list('?all=yes&payload_base64=yes', options);
  }

  headsNonEmpty(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return this.#list('?payload_base64=yes', options);
  }

  async get(key: string, version?: number, options: CallOptions = {}): Promise<Commit<V> | null> {
    const path = version === undefined ? pathOf(key) : `${pathOf(key)}/${version}`;
    const answer = await this.#call({ method: 'GET', path }, options);
    if (answer.status === 404) return null;
    assertSuccess(answer);
    const meta = metaFromHeaders(answer.header);
    return new Commit<V>({ ...meta, payload: meta.empty ? null : answer.body }, this.codec);
  }

  async save(input: CommitInput, options: CallOptions = {}): Promise<Commit<V>> {
    const commit = new Commit<V>(input, this.codec);
    const path = `${pathOf(commit.key)}/${commit.version}`;
    const flat = commitHeaders(commit);
    const headers: Record<string, string> = { 'Content-Type': 'application/octet-stream' };
    for (let at = 0; at < flat.length; at += 2) headers[flat[at]!] = flat[at + 1]!;
    const body = commit.payload ?? Buffer.alloc(0);
    headers['Content-Length'] = String(body.length);
    const answer = await this.#call({ method: 'POST', path, headers, body }, options);
    throwConflict(answer);
    assertSuccess(answer);
    return commit;
  }

  async #list(query: string, { prefix = '', signal }: HeadsOptions): Promise<Map<string, Commit<V>>> {
    const answer = await this.#call({ method: 'GET', path: query }, { signal });
    assertSuccess(answer);
    const heads = new Map<string, Commit<V>>();
    for (const [key, entry] of Object.entries(parseJsonObject(answer.body))) {
      if (!key.startsWith(prefix)) continue;
      const meta = parseCommitMeta(entry);
      const { payload_base64: payload } = entry as { payload_base64?: unknown };
      if (!meta.empty && typeof payload !== 'string') {
        throw new CommitFormatError(`the list of commits has no payload_base64 for ${key}`);
      }
      heads.set(
        key,
        new Commit<V>({ ...meta, payload: meta.empty ? null : Buffer.from(String(payload), 'base64') }, this.codec),
      );
    }
    return new Map([...heads].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #call(
    {
      path,
      headers = {},
      ...call
    }: Pick<HttpCall, 'method' | 'body'> & { path: string; headers?: Record<string, string> },
    { signal }: CallOptions,
  ): Promise<HttpAnswer> {
    const { token, timeoutMs = 30_000, ca } = this.#options;
    return callHttp({
      ...call,
      url: new URL(`${this.#base.href.replace(/\/$/, '')}${path}`),
      headers: { ...headers, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
      timeoutMs,
      ca,
      signal,
    });
  }
}

/** A key as a path segment. `.` and `..` have no such form: URLs swallow them, escaped or not. */
function pathOf(key: string): string {
  if (key === '.' || key === '..') throw new ConfigurationError(`the key ${JSON.stringify(key)} can't be in a URL`);
  return `/${encodeURIComponent(key)}`;
}

function checkedUrl(text: string | URL): URL {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return url;
  throw new ConfigurationError(
    'HttpCommitStorage: option "url" must be an http or https URL without query, like http://127.0.0.1:8080/diary',
  );
}

function parseJsonObject(body: Buffer): object {
  try {
    const json: unknown = JSON.parse(body.toString());
    if (typeof json === 'object' && json !== null) return json;
  } catch {
    // Said below.
  }
  throw new CommitFormatError('the answer is no JSON object: is there a commit server at this URL?');
}

/** A 409 whose body can be read is a conflict; any other is a failure like all others. */
function throwConflict({ status, body }: HttpAnswer): void {
  if (status !== 409) return;
  let conflict: unknown;
  try {
    conflict = (JSON.parse(body.toString()) as { conflict?: unknown } | null)?.conflict;
  } catch {
    return;
  }
  const { key, expectedVersion, providedVersion } = (conflict ?? {}) as Record<string, unknown>;
  if (typeof key === 'string' && typeof expectedVersion === 'number' && typeof providedVersion === 'number') {
    throw new CommitOrderingError(key, expectedVersion, providedVersion);
  }
}

function assertSuccess({ status, reason, body }: HttpAnswer): void {
  if (status < 200 || status > 299) {
    throw new HttpStorageError(status, reason, body.toString(), { retryable: status === 503 });
  }
}
