import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ValueCodec } from './codec.ts';
import { Commit, type CommitInput } from './commit.ts';
import { CommitFormatError, HttpStorageError, UnsupportedByStorageError } from './errors.ts';
import type { HttpAnswer } from './http/client.ts';
import { commitHeaders, metaFromHeaders } from './http/commit-headers.ts';
import { fromCommitJson, toCommitJson, withPayload } from './http/commit-json.ts';
import { REVISION_HEADER } from './http/exchange.ts';
import { assertSuccess, keyPath, parseJsonObject, queryOf, Remote, type RemoteOptions } from './http/remote.ts';
import { watchRemote } from './http/remote-watch.ts';
import type {
  CallOptions,
  Changes,
  ChangesOptions,
  CommitJournal,
  HeadsOptions,
  HistoryOptions,
  SaveAllOptions,
  Snapshot,
  WatchOptions,
} from './storage.ts';

export interface HttpStorageOptions<V> extends RemoteOptions {
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
 * A storage at the other end of HTTP: our server's, or a Rainer server's (which offers no more than
 * `CommitStorage` asks for; the rest throws {@link UnsupportedByStorageError} there).
 *
 * @example
 * ```ts
 * const storage = new HttpCommitStorage({ url: 'http://127.0.0.1:8080/diary' });
 * const head = await storage.get('foo');
 * ```
 */
export class HttpCommitStorage<V = Buffer> implements CommitJournal<V> {
  readonly codec: ValueCodec<V> | undefined;
  readonly #remote: Remote;

  /** @throws ConfigurationError */
  constructor(options: HttpStorageOptions<V>) {
    assertKnownKeys(options, KEYS, 'HttpCommitStorage options');
    this.#remote = new Remote(options);
    this.codec = options.codec;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async heads(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return (await this.#list({ all: 'yes' }, options)).heads;
  }

  async headsNonEmpty(options: HeadsOptions = {}): Promise<Map<string, Commit<V>>> {
    return (await this.#list({}, options)).heads;
  }

  async get(key: string, version?: number, options: CallOptions = {}): Promise<Commit<V> | null> {
    const path = version === undefined ? keyPath(key) : `${keyPath(key)}/${version}`;
    const answer = await this.#remote.call({ method: 'GET', path }, options);
    if (answer.status === 404) return null;
    assertSuccess(answer);
    const meta = metaFromHeaders(answer.header);
    return new Commit<V>({ ...meta, payload: meta.empty ? null : answer.body }, this.codec);
  }

  async save(input: CommitInput, options: CallOptions = {}): Promise<Commit<V>> {
    const { commit, answer } = await this.#post(input, '', options);
    // The server has the last word: the author may be that of the token.
    const revision = answer.header(REVISION_HEADER.toLowerCase());
    return withPayload({ ...parseJsonObject(answer.body), revision }, commit.payload, this.codec);
  }

  /** Asks the server; one that knows no dry runs is not asked, since it would save. */
  async check(input: CommitInput, options: CallOptions = {}): Promise<void> {
    const known = await this.#remote.call({ method: 'GET', path: '/-/who-am-i' }, options);
    if (known.status === 400) throw new UnsupportedByStorageError('dry runs');
    this.#json(known);
    await this.#post(input, '?dry_run=yes', options);
  }

  async #post(
    input: CommitInput,
    query: string,
    options: CallOptions,
  ): Promise<{ commit: Commit<V>; answer: HttpAnswer }> {
    const commit = new Commit<V>(input, this.codec);
    const body = commit.payload ?? Buffer.alloc(0);
    const flat = commitHeaders(commit);
    const headers: Record<string, string> = {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(body.length),
    };
    for (let at = 0; at < flat.length; at += 2) headers[flat[at]!] = flat[at + 1]!;
    const path = `${keyPath(commit.key)}/${commit.version}${query}`;
    const answer = await this.#remote.call({ method: 'POST', path, headers, body }, options);
    assertSuccess(answer);
    return { commit, answer };
  }

  async saveAll(inputs: readonly CommitInput[], { compare = {}, signal }: SaveAllOptions = {}): Promise<Commit<V>[]> {
    const commits = inputs.map((input) => new Commit<V>(input, this.codec));
    if (commits.length === 0) return [];
    const compared = compare instanceof Map ? Object.fromEntries(compare) : compare;
    const forms = { utf8: false, base64: true };
    const body = { commits: commits.map((commit) => toCommitJson(commit, forms)), compare: compared };
    const headers = { 'Content-Type': 'application/json' };
    const call = { method: 'POST', path: '/-/commits', headers, body: Buffer.from(JSON.stringify(body)) } as const;
    const { commits: saved } = this.#json(await this.#remote.call(call, { signal }));
    if (!Array.isArray(saved) || saved.length !== commits.length) throw unreadable('commits');
    return commits.map(({ payload }, index) => withPayload(saved[index], payload, this.codec));
  }

  async history(key: string, { before, limit, signal }: HistoryOptions = {}): Promise<Commit<V>[]> {
    const path = `${keyPath(key)}/history${queryOf({ before, limit, payload_base64: 'yes' })}`;
    const { versions } = this.#json(await this.#remote.call({ method: 'GET', path }, { signal }));
    if (!Array.isArray(versions)) throw unreadable('versions');
    return versions.map((json) => fromCommitJson(json, this.codec));
  }

  async changes({ after, prefix, limit = 1_000, signal }: ChangesOptions): Promise<Changes<V>> {
    const path = `/-/changes${queryOf({ after, prefix, limit, payload_base64: 'yes' })}`;
    const { commits, revision, more } = this.#json(await this.#remote.call({ method: 'GET', path }, { signal }));
    if (!Array.isArray(commits)) throw unreadable('commits');
    return {
      commits: commits.map((json) => fromCommitJson(json, this.codec)),
      revision: revisionOf(revision),
      more: more === true,
    };
  }

  async revision(options: CallOptions = {}): Promise<bigint> {
    const { revision } = this.#json(await this.#remote.call({ method: 'GET', path: '/-/revision' }, options));
    return revisionOf(revision);
  }

  async snapshot(options: HeadsOptions = {}): Promise<Snapshot<V>> {
    const { heads, revision } = await this.#list({ all: 'yes' }, options);
    if (revision === undefined) throw new UnsupportedByStorageError('revisions');
    return { heads, revision };
  }

  /** Comes back by itself after a cut, from the revision seen last. */
  watch(options: WatchOptions = {}): AsyncIterableIterator<Commit<V>> {
    return watchRemote(this.#remote, this.codec, options);
  }

  async #list(
    query: Readonly<Record<string, string>>,
    { prefix, signal }: HeadsOptions,
  ): Promise<{ heads: Map<string, Commit<V>>; revision: bigint | undefined }> {
    const path = queryOf({ prefix: prefix === '' ? undefined : prefix, ...query, payload_base64: 'yes' });
    const answer = await this.#remote.call({ method: 'GET', path }, { signal });
    assertSuccess(answer);
    const heads = new Map<string, Commit<V>>();
    for (const [key, json] of Object.entries(parseJsonObject(answer.body))) {
      // A Rainer server knows no prefixes.
      if (key.startsWith(prefix ?? '')) heads.set(key, fromCommitJson(json, this.codec));
    }
    const revision = answer.header(REVISION_HEADER.toLowerCase());
    return {
      heads: new Map([...heads].sort(([a], [b]) => (a < b ? -1 : 1))),
      revision: revision === undefined ? undefined : BigInt(revision),
    };
  }

  /** The answer of a call that only our servers know. */
  #json(answer: HttpAnswer): Record<string, unknown> {
    const { status } = answer;
    if (status === 404 || status === 405 || status === 500 || status === 501) {
      const cause = new HttpStorageError(status, answer.reason, answer.body.toString());
      throw new UnsupportedByStorageError('revisions and history', { cause });
    }
    assertSuccess(answer);
    return parseJsonObject(answer.body);
  }
}

function revisionOf(text: unknown): bigint {
  if (typeof text === 'string' && /^\d+$/.test(text)) return BigInt(text);
  throw unreadable('revision');
}

function unreadable(field: string): CommitFormatError {
  return new CommitFormatError(`the answer has no ${JSON.stringify(field)}: is there a commit server at this URL?`);
}
