import type { SecureContextOptions } from 'node:tls';

/** TLS to the source, as mysql2 takes it; a text is the name of one of its profiles (`Amazon RDS`). */
export type MysqlTls =
  | string
  | (Pick<
      SecureContextOptions,
      'ca' | 'cert' | 'ciphers' | 'crl' | 'key' | 'maxVersion' | 'minVersion' | 'passphrase' | 'pfx'
    > & {
      readonly rejectUnauthorized?: boolean | undefined;
      readonly verifyIdentity?: boolean | undefined;
    });

/** How to reach a MySQL or MariaDB server: `db_conn` of the configuration. Without types of mysql2, an optional peer. */
export interface MysqlSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  readonly ssl?: MysqlTls | undefined;
  /** `net_read_timeout` and `net_write_timeout` of our sessions. */
  readonly netTimeoutSeconds: number;
}

/** `host:port`, for messages. */
export function sourceLabel(settings: Pick<MysqlSettings, 'host' | 'port'>): string {
  return `${settings.host}:${settings.port}`;
}
