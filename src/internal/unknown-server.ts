import { ConfigurationError } from '../errors.ts';

/**
 * The error for a name that no server has: one sentence wherever servers are named.
 *
 * @param where - the option or the place in the configuration that names it
 * @param servers - the names there are
 */
export function unknownServer(where: string, name: unknown, servers: Iterable<string>): ConfigurationError {
  return new ConfigurationError(
    `${where}: there is no server ${JSON.stringify(name)}; servers: ${[...servers].join(', ')}`,
  );
}
