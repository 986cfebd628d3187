import pg from 'pg';
import { ConfigurationError } from '../../errors.ts';
import { parseConnectionString } from './connection-string.ts';
import { type HostAddress, hostAddress, parseHosts } from './hosts.ts';
import { type ConnectionSettings, TARGET_ROLES, type TargetRole } from './settings.ts';

/** {@link ConnectionSettings} checked, with every default in place. */
export interface ResolvedSettings {
  readonly hosts: readonly HostAddress[];
  readonly targetRole: TargetRole;
  /** Sessions are for writing: the primary is wanted, or nobody said otherwise. */
  readonly forWriting: boolean;
  readonly connectTimeoutMs: number;
  readonly roleCheckMs: number;
  /** What node-postgres is given; the host comes per session. */
  readonly client: pg.ClientConfig;
  /** `host:port,host:port/database`, without user or password. */
  readonly label: string;
}

/** Checks the settings; throws {@link ConfigurationError} with the option's name. No I/O. */
export function resolveSettings(settings: ConnectionSettings): ResolvedSettings {
  const { connectTimeoutMs = 5_000, roleCheckMs = 10_000, applicationName = 'pg-hypervault' } = settings;
  const { connectionString, hosts, host, port } = settings;
  if (hosts !== undefined && host !== undefined) {
    throw new ConfigurationError('host and hosts are both given; put every host into hosts');
  }
  checkDuration('connectTimeoutMs', connectTimeoutMs, 1);
  checkDuration('roleCheckMs', roleCheckMs, 0);
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535)) {
    throw new ConfigurationError(`port: ${String(port)} is not a port between 1 and 65535`);
  }
  const parsed = connectionString === undefined ? undefined : parseConnectionString(connectionString);
  const client: pg.ClientConfig = {
    ...parsed?.config,
    ...given(settings),
    application_name: settings.applicationName ?? parsed?.config.application_name ?? applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
  // node-postgres knows the defaults and the PG… variables; it is asked rather than copied.
  const defaults = new pg.Client(client);
  const list = hosts ?? (host === undefined ? parsed?.hosts : undefined);
  // In a list out of a connection string the port of the first host is not the others' default.
  const defaultPort = list === parsed?.hosts ? (port ?? 5432) : defaults.port;
  const addresses = list ? parseHosts(list, defaultPort) : [hostAddress(defaults.host, defaults.port)];
  const wanted = settings.targetRole ?? parsed?.targetRole;
  const targetRole = wanted ?? (addresses.length > 1 ? 'primary' : 'any');
  if (!TARGET_ROLES.includes(targetRole)) {
    throw new ConfigurationError(`targetRole: ${String(targetRole)} is not one of ${TARGET_ROLES.join(', ')}`);
  }
  const label = `${addresses.map((address) => address.label).join(',')}/${defaults.database ?? ''}`;
  const forWriting = wanted === undefined || wanted === 'primary';
  return { hosts: addresses, targetRole, forWriting, connectTimeoutMs, roleCheckMs, client, label };
}

/** The fields that go to node-postgres under the same name. `ssl` is handed on itself: a copy would lose its hidden `key`. */
function given({ host, port, user, password, database, ssl, options }: ConnectionSettings): pg.ClientConfig {
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ...(ssl !== undefined && { ssl }),
    ...(options !== undefined && { options }),
  } as pg.ClientConfig;
}

function checkDuration(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new ConfigurationError(`${name}: ${String(value)} is not a whole number of milliseconds from ${least}`);
}
