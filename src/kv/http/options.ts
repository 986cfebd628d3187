import { setMaxListeners } from 'node:events';
import type { Logger } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { ValueCodec } from '../codec.ts';
import type { Commit } from '../commit.ts';
import type { CommitStorage } from '../storage.ts';
import { type AccessRights, type Authorize, type CommitToken, makeAuthorize } from './access.ts';

/** What the server reads from a mirror: all present keys, as of now. */
export interface HeadsSource {
  readonly current: ReadonlyMap<string, Commit<unknown>>;
  /** The revision that `current` stands at, where it is known. */
  readonly revision?: bigint | undefined;
}

export interface CommitServerOptions<V = unknown> {
  /** Where commits are read and saved. Started and stopped by whoever made it. */
  readonly storage: CommitStorage<V>;
  /** Answers reads of newest versions from memory, marked `X-Rainer-Cached: Yes`; a removed key is a 404 then. */
  readonly mirror?: HeadsSource | undefined;
  /** The path the server is mounted at, e.g. `/diary`. Leave it out where a framework strips its mount path. @default '' */
  readonly basePath?: string | undefined;
  /** A payload that this can't read is refused. @default the storage's own */
  readonly codec?: ValueCodec<V> | undefined;
  /** Longest payload taken. @default 16 MiB */
  readonly maxPayloadBytes?: number | undefined;
  /** A request's body must have arrived within this time. @default 30000 */
  readonly bodyTimeoutMs?: number | undefined;
  /** Watches served at a time; more are told to come back. @default 1000 */
  readonly maxWatches?: number | undefined;
  /** Ends the watches when it fires, so that the server can close. */
  readonly signal?: AbortSignal | undefined;
  /** Who may do what. @default everybody may do everything */
  readonly tokens?: readonly CommitToken[] | undefined;
  /** What may be done without a token, when there are tokens. @default nothing */
  readonly anonymous?: AccessRights | undefined;
  /** The clock that dates commits which bring no time. @default the server's */
  readonly now?: (() => Date) | undefined;
  /** Serves a web page at `/-/page` that shows and edits the keys. @default true */
  readonly page?: boolean | undefined;
  /** Told about failures that were answered with a 500 or 503. @default silent */
  readonly logger?: Logger | undefined;
}

const KEYS = [
  'storage',
  'mirror',
  'basePath',
  'codec',
  'maxPayloadBytes',
  'bodyTimeoutMs',
  'maxWatches',
  'signal',
  'tokens',
  'anonymous',
  'now',
  'page',
  'logger',
] as const satisfies readonly (keyof CommitServerOptions)[];

/** {@link CommitServerOptions} with every default filled in. */
export interface ResolvedServerOptions {
  readonly storage: CommitStorage<unknown>;
  readonly mirror: HeadsSource | undefined;
  readonly basePath: string;
  readonly codec: ValueCodec<unknown> | undefined;
  readonly maxPayloadBytes: number;
  readonly bodyTimeoutMs: number;
  readonly maxWatches: number;
  readonly signal: AbortSignal | undefined;
  readonly now: () => Date;
  readonly page: boolean;
  readonly logger: Logger | undefined;
  readonly authorize: Authorize;
}

/** @throws ConfigurationError naming the option */
export function resolveServerOptions<V>(options: CommitServerOptions<V>): ResolvedServerOptions {
  assertKnownKeys(options, KEYS, 'createCommitServer options');
  // Every watch listens to it, and there may be a thousand.
  if (options.signal !== undefined) setMaxListeners(0, options.signal);
  const storage = options.storage as CommitStorage<unknown> | undefined;
  if (storage === undefined) throw new ConfigurationError('createCommitServer: option "storage" is missing');
  return {
    storage,
    mirror: options.mirror,
    basePath: checkedBasePath(options.basePath ?? ''),
    codec: (options.codec as ValueCodec<unknown> | undefined) ?? storage.codec,
    maxPayloadBytes: positive('maxPayloadBytes', options.maxPayloadBytes ?? 16 * 1024 * 1024),
    bodyTimeoutMs: positive('bodyTimeoutMs', options.bodyTimeoutMs ?? 30_000),
    maxWatches: positive('maxWatches', options.maxWatches ?? 1_000),
    signal: options.signal,
    now: options.now ?? (() => new Date()),
    page: options.page ?? true,
    logger: options.logger,
    authorize: makeAuthorize(options.tokens, options.anonymous),
  };
}

function checkedBasePath(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  if (trimmed === '' || /^(\/[A-Za-z0-9._~!$&'()*+,=:@%-]+)+$/.test(trimmed)) return trimmed;
  throw new ConfigurationError(
    `createCommitServer: basePath must look like "/diary" or "/a/b", not ${JSON.stringify(path)}`,
  );
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ConfigurationError(`createCommitServer: ${name} must be a positive whole number, not ${String(value)}`);
}
