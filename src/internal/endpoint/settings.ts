import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** What a connection must be good for. `primary` is the default; see {@link ConnectionSettings.targetRole}. */
export type TargetRole = 'primary' | 'standby' | 'prefer-standby' | 'any';

/**
 * How to reach one logical Postgres server: what node-postgres takes, and beside it a list of hosts
 * among which the one with the wanted role is found.
 */
export interface ConnectionSettings {
  /** `postgres://user:password@host:port/database?sslmode=…`; other fields win over it. */
  readonly connectionString?: string | undefined;
  /** @default 'localhost' */
  readonly host?: string | undefined;
  /** @default 5432 */
  readonly port?: number | undefined;
  /** Several hosts of one server and its standbys, `'name'` or `'name:port'`; instead of `host` and `port`. */
  readonly hosts?: readonly string[] | undefined;
  readonly user?: string | undefined;
  /** A text, or a function asked anew for each connection (tokens that expire). */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  readonly database?: string | undefined;
  /** Passed to `node:tls` as it is. @default false */
  readonly ssl?: boolean | TlsOptions | undefined;
  /** @default 'primary' when there are several hosts, else 'any' */
  readonly targetRole?: TargetRole | undefined;
  /** Bound of one attempt to connect to one host. @default 5000 */
  readonly connectTimeoutMs?: number | undefined;
  /** Shown in pg_stat_activity. @default 'pg-hypervault' */
  readonly applicationName?: string | undefined;
}

/** The keys of {@link ConnectionSettings}, for checks of unknown names. */
export const CONNECTION_SETTING_KEYS = [
  'connectionString',
  'host',
  'port',
  'hosts',
  'user',
  'password',
  'database',
  'ssl',
  'targetRole',
  'connectTimeoutMs',
  'applicationName',
] as const satisfies readonly (keyof ConnectionSettings)[];
