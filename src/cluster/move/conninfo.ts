import type { ConnectionSettings } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { resolveSettings } from '../../internal/endpoint/resolve.ts';

/** How one server reaches another, as libpq reads it: the connection of a subscription. Holds the password. */
export async function conninfoOf(connection: ConnectionSettings): Promise<string> {
  if (connection.connectionString !== undefined && connection.password === undefined)
    return connection.connectionString;
  const { hosts, client } = resolveSettings(connection);
  const password = typeof client.password === 'function' ? await client.password() : client.password;
  const addresses = hosts.map(({ host, port }) => ({ host, port }));
  const fields: Record<string, string | undefined> = {
    host: addresses.map(({ host }) => host).join(','),
    port: addresses.map(({ port }) => port).join(','),
    target_session_attrs: addresses.length > 1 ? 'read-write' : undefined,
    dbname: client.database,
    user: client.user,
    password: password ?? undefined,
    sslmode: client.ssl ? 'require' : undefined,
    // A server that vanished without a word is noticed, so that its successor is looked for.
    connect_timeout: '10',
    keepalives_idle: '10',
  };
  if (fields.user === undefined || fields.dbname === undefined) {
    throw new ConfigurationError('servers that hold shards need a user and a database, to be reached from each other');
  }
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}='${value!.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ');
}
