import { CONNECTION_SETTING_KEYS, type ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { MysqlSettings } from '../mysql/settings.ts';
import type { RawSection } from './raw.ts';

/** `db_conn` of a MySQL source. What has no meaning here is added to `warnings`. */
export function readMysqlConnection(raw: RawSection, netTimeoutSeconds: number, warnings: string[]): MysqlSettings {
  const conn = raw.section('db_conn');
  assertKnownKeys(
    Object.fromEntries(conn.keys.map((key) => [key, 0])),
    ['host', 'port', 'user', 'password', 'charset', 'connect_timeout', 'ssl', 'database'],
    conn.where,
  );
  if (conn.get('charset') !== undefined && !/utf-?8/i.test(conn.text('charset')!)) {
    warnings.push(`${conn.where}.charset has no meaning here: text always travels as utf8mb4`);
  }
  return {
    host: conn.text('host') ?? 'localhost',
    port: conn.number('port') ?? 3306,
    user: conn.required('user'),
    password: conn.text('password') ?? '',
    connectTimeoutMs: (conn.number('connect_timeout') ?? 10) * 1_000,
    ssl: readSsl(conn),
    netTimeoutSeconds,
  };
}

function readSsl(conn: RawSection): MysqlSettings['ssl'] {
  const value = conn.get('ssl');
  if (value === undefined || value === false) return undefined;
  return value === true ? {} : (value as MysqlSettings['ssl']);
}

/** `db_conn` of a Postgres source. */
export function readPostgresConnection(raw: RawSection): ConnectionSettings {
  const conn = raw.section('db_conn');
  const ours: readonly string[] = CONNECTION_SETTING_KEYS;
  assertKnownKeys(
    Object.fromEntries(conn.keys.map((key) => [key, 0])),
    [...ours, 'charset', 'connect_timeout'],
    conn.where,
  );
  const kept = conn.keys
    .filter((key) => ours.includes(key) && conn.get(key) !== undefined)
    .map((key) => [key, conn.get(key)]);
  const settings = Object.fromEntries(kept) as Record<string, unknown>;
  if (settings.port !== undefined) settings.port = Number(settings.port);
  const seconds = conn.number('connect_timeout');
  return { ...settings, ...(seconds !== undefined && { connectTimeoutMs: seconds * 1_000 }) } as ConnectionSettings;
}
