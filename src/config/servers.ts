import type { ConnectionSettings } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { resolveSettings } from '../internal/endpoint/resolve.ts';
import { CONNECTION_SETTING_KEYS } from '../internal/endpoint/settings.ts';
import { unknownServer } from '../internal/unknown-server.ts';
import { checkKeys, type Locate, located, objectAt, type Path } from './location.ts';
import type { ControlConfiguration } from './shape.ts';

const SERVER_KEYS = [...CONNECTION_SETTING_KEYS, 'standbys'];
const TEXT_KEYS = ['connectionString', 'host', 'user', 'database', 'options', 'applicationName'];

/** Servers by name, checked. */
export type Servers = ReadonlyMap<string, ConnectionSettings>;

/** @throws ConfigurationError with the place */
export function resolveServers(value: unknown, locate: Locate): Servers {
  const servers = Object.entries(objectAt(value, 'servers by name', locate, ['servers']));
  if (servers.length === 0) throw new ConfigurationError(`${locate(['servers'])}: name at least one server`);
  return new Map(servers.map(([name, server]) => [name, resolveServer(server, locate, ['servers', name])]));
}

/** The database named by `control`. */
export function resolveControl(value: unknown, servers: Servers, locate: Locate): ConnectionSettings | undefined {
  if (value === undefined || value === null) return undefined;
  const path = ['control'];
  const { server, database } =
    typeof value === 'string' ? { server: value, database: undefined } : controlObject(value, locate, path);
  const settings = servers.get(server);
  if (settings === undefined) throw unknownServer(locate(path), server, servers.keys());
  return database === undefined ? settings : { ...settings, database };
}

function controlObject(value: unknown, locate: Locate, path: Path): Exclude<ControlConfiguration, string> {
  const control = objectAt(value, 'the name of a server, or { server, database }', locate, path);
  checkKeys(control, ['server', 'database'], locate, path);
  const { server, database } = control;
  if (typeof server !== 'string') throw new ConfigurationError(`${locate([...path, 'server'])}: must name a server`);
  if (database !== undefined && typeof database !== 'string') {
    throw new ConfigurationError(`${locate([...path, 'database'])}: must be a text`);
  }
  return { server, database };
}

function resolveServer(value: unknown, locate: Locate, path: Path): ConnectionSettings {
  const server = objectAt(value, 'connection settings', locate, path);
  checkKeys(server, SERVER_KEYS, locate, path);
  for (const key of TEXT_KEYS) {
    if (server[key] !== undefined && typeof server[key] !== 'string') {
      throw new ConfigurationError(`${locate([...path, key])}: must be a text`);
    }
  }
  const { password, standbys, ...rest } = server;
  if (password !== undefined && typeof password !== 'string' && typeof password !== 'function') {
    throw new ConfigurationError(
      `${locate([...path, 'password'])}: must be a text; quote it if it looks like a number`,
    );
  }
  const hosts = hostList(rest.hosts, locate, [...path, 'hosts']);
  const followers = hostList(standbys, locate, [...path, 'standbys']);
  const settings = { ...rest, ...(password !== undefined && { password }) } as ConnectionSettings;
  const all = followers === undefined ? settings : withStandbys(settings, hosts, followers, locate, path);
  located(locate, path, () => resolveSettings(all));
  return all;
}

/** A standby may become the primary: so it is one more host to look at. */
function withStandbys(
  { host, port, ...rest }: ConnectionSettings,
  hosts: readonly string[] | undefined,
  standbys: readonly string[],
  locate: Locate,
  path: Path,
): ConnectionSettings {
  if (rest.connectionString !== undefined && host === undefined && hosts === undefined) {
    throw new ConfigurationError(`${locate([...path, 'standbys'])}: name them in the connectionString, a:5432,b:5432`);
  }
  const primary = hosts ?? [host ?? 'localhost'];
  return { ...rest, ...(port !== undefined && { port }), hosts: [...primary, ...standbys] };
}

function hostList(value: unknown, locate: Locate, path: Path): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.length > 0 && value.every((host) => typeof host === 'string')) return value;
  throw new ConfigurationError(`${locate(path)}: must be a list of 'host' or 'host:port'`);
}
