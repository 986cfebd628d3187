import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';

/** How embedded servers are started. */
export interface EmbeddedOptions {
  /** How many servers. @default 1 */
  readonly servers?: number | undefined;
  /** Where they keep their data; it is still there at the next start. @default a temporary folder, removed at the end */
  readonly directory?: string | undefined;
  /** Server settings, e.g. `{ max_connections: 50 }`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** The database that is made in each server. @default 'app' */
  readonly database?: string | undefined;
  /** Longest wait for a server to answer, in ms. @default 60000 */
  readonly startTimeoutMs?: number | undefined;
}

const DEFAULTS = { servers: 1, directory: undefined, settings: {}, database: 'app', startTimeoutMs: 60_000 } as const;

export interface ResolvedEmbeddedOptions {
  readonly servers: number;
  readonly directory: string | undefined;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly database: string;
  readonly startTimeoutMs: number;
}

export function resolveEmbeddedOptions(options: EmbeddedOptions = {}): ResolvedEmbeddedOptions {
  assertKnownKeys(options, Object.keys(DEFAULTS), 'startEmbedded');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedEmbeddedOptions = { ...DEFAULTS, ...given };
  if (!Number.isInteger(resolved.servers) || resolved.servers < 1 || resolved.servers > 64) {
    throw new ConfigurationError(`startEmbedded: servers must be a whole number from 1 to 64, not ${resolved.servers}`);
  }
  for (const name of Object.keys(resolved.settings)) {
    if (!/^[a-z_.]+$/i.test(name)) throw new ConfigurationError(`startEmbedded: ${JSON.stringify(name)} is no setting`);
  }
  return resolved;
}
