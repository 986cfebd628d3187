import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** What a connection must be good for. `primary` is the default; see {@link ConnectionSettings.targetRole}. */
export type TargetRole = 'primary' | 'standby' | 'prefer-standby' | 'any';

/** The values of {@link TargetRole}, for checks. */
export const TARGET_ROLES = ['primary', 'standby', 'prefer-standby', 'any'] as const satisfies readonly TargetRole[];

/**
 * How to reach one logical Postgres server: what node-postgres takes, and beside it a list of hosts
 * among which the one with the wanted role is found.
 */
export interface ConnectionSettings {
  /**
   * `postgres://user:password@host:port/database?sslmode=…`; other fields win over it.
   * As in libpq it may name several hosts (`a:5432,b:5432`) and `target_session_attrs`.
   */
  readonly connectionString?: string | undefined;
  /** @default 'localhost' */
  readonly host?: string | undefined;
  /** @default 5432 */
  readonly port?: number | undefined;
  /**
   * Several hosts of one server and its standbys, `'name'`, `'name:port'`, `'[::1]:port'` or a socket directory;
   * instead of `host`. One without a port takes `port`.
   */
  readonly hosts?: readonly string[] | undefined;
  readonly user?: string | undefined;
  /** A text, or a function asked anew for each connection (tokens that expire). */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  readonly database?: string | undefined;
  /** Passed to `node:tls` as it is. @default false */
  readonly ssl?: boolean | TlsOptions | undefined;
  /** Settings for each session, as libpq takes them: `-c statement_timeout=5s`. */
  readonly options?: string | undefined;
  /**
   * `primary`: a server that is not in recovery, found by asking it. `standby`: one that is.
   * `prefer-standby`: a standby, or the primary while there is none. `any`: whoever answers first.
   *
   * @default 'primary' when there are several hosts, else 'any'
   */
  readonly targetRole?: TargetRole | undefined;
  /** Bound of one attempt to connect to one host. @default 5000 */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * While sessions are open and there are several hosts: how often all hosts are asked for their role, so that a
   * second primary (split brain) is noticed although the first one still answers. 0 switches it off. @default 10000
   */
  readonly roleCheckMs?: number | undefined;
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
  'options',
  'targetRole',
  'connectTimeoutMs',
  'roleCheckMs',
  'applicationName',
] as const satisfies readonly (keyof ConnectionSettings)[];
