import { ConfigurationError } from '../../errors.ts';

/** One place where a server may be: a name or address with a port, or a socket directory with the port in its file name. */
export interface HostAddress {
  readonly host: string;
  readonly port: number;
  /** `host:port`, for messages and as identity. */
  readonly label: string;
}

const FORM = `write 'name', 'name:port', '[ipv6]:port' or '/socket/directory'`;

export function hostAddress(host: string, port: number): HostAddress {
  return { host, port, label: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/**
 * Reads one entry of `hosts`.
 *
 * @example
 * ```ts
 * parseHost('db1', 5432);            // db1:5432
 * parseHost('[fe80::1]:5433', 5432); // [fe80::1]:5433
 * parseHost('/run/postgresql', 5432);
 * ```
 */
export function parseHost(text: string, defaultPort: number): HostAddress {
  const entry = text.trim();
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(entry);
  if (bracketed) return hostAddress(bracketed[1]!, parsePort(bracketed[2], defaultPort, text));
  // More than one colon and no brackets: a bare IPv6 address.
  if (entry.split(':').length > 2) return hostAddress(entry, defaultPort);
  const [host, port] = entry.split(':') as [string, string?];
  if (host === '' || /[\s,@?]/.test(host)) throw new ConfigurationError(`hosts: ${JSON.stringify(text)}: ${FORM}`);
  return hostAddress(host, parsePort(port, defaultPort, text));
}

/** Reads the whole list; the same place named twice is an error, since it would look like two primaries. */
export function parseHosts(entries: readonly string[], defaultPort: number): readonly HostAddress[] {
  if (entries.length === 0) throw new ConfigurationError(`hosts: the list is empty; ${FORM}`);
  const seen = new Set<string>();
  return entries.map((entry) => {
    if (typeof entry !== 'string') throw new ConfigurationError(`hosts: ${String(entry)} is not a text; ${FORM}`);
    const address = parseHost(entry, defaultPort);
    if (seen.has(address.label)) throw new ConfigurationError(`hosts: ${address.label} is named twice`);
    seen.add(address.label);
    return address;
  });
}

function parsePort(text: string | undefined, defaultPort: number, entry: string): number {
  if (text === undefined) return defaultPort;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new ConfigurationError(`hosts: ${JSON.stringify(entry)} has no port between 1 and 65535; ${FORM}`);
  }
  return port;
}
