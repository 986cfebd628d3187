import { ConfigurationError } from '../errors.ts';
import { CONNECTION_SETTING_KEYS, type ConnectionSettings } from '../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { ShardMap, type ShardServer } from './shard-map.ts';
import { parseShardRanges, type ShardRangesInput } from './shard-range.ts';

/** One server: how to reach it, and which shards it holds. */
export interface ConnectionEntry extends ConnectionSettings {
  /** Half-open ranges: `'1-9'` is 1 to 8; also `'1-5,8-9'`, or a list; `[]` for a server that holds none yet. */
  readonly shards: ShardRangesInput;
  /** For messages, statistics and the shard map; must be unique. @default 'host:port/database' */
  readonly name?: string | undefined;
}

const ENTRY_KEYS = ['name', 'shards', ...CONNECTION_SETTING_KEYS];

/**
 * The shard map of a list of connection entries.
 *
 * @example
 * ```ts
 * shardMapOf([{ host: 'db1', shards: '1-9' }, { host: 'db2', shards: '9-17' }]).serverOf(12).name;   // 'db2:5432'
 * ```
 * @throws ConfigurationError, ShardRangeError
 */
export function shardMapOf(entries: readonly ConnectionEntry[]): ShardMap {
  if (!Array.isArray(entries)) throw new ConfigurationError('connections: give a list with one entry per server');
  if (entries.length === 0) throw new ConfigurationError('connections: the list is empty; give one entry per server');
  const servers: ShardServer[] = [];
  for (const [index, entry] of entries.entries()) {
    const server = serverOf(entry, index);
    const taken = entry.name === undefined && servers.some(({ name }) => name === server.name);
    servers.push(taken ? { ...server, name: `${server.name} #${index + 1}` } : server);
  }
  return new ShardMap(servers);
}

function serverOf(entry: ConnectionEntry, index: number): ShardServer {
  if (typeof entry !== 'object' || entry === null) {
    throw new ConfigurationError(`connections[${index}] is not an object with connection settings and shards`);
  }
  const name = entry.name ?? labelOf(entry);
  const where = `connections[${index}] (${name})`;
  assertKnownKeys(entry, ENTRY_KEYS, where);
  if (entry.shards === undefined) throw new ConfigurationError(`${where}: shards is missing; '1-9' means 1 to 8`);
  if (typeof name !== 'string' || name === '') throw new ConfigurationError(`${where}: name is not a text`);
  const { shards, name: _, ...connection } = entry;
  const none = Array.isArray(shards) && shards.length === 0;
  return { name, connection, ranges: none ? [] : parseShardRanges(shards, where) };
}

/** `host:port/database` of an entry without a name; never the password. */
function labelOf(entry: ConnectionEntry): string {
  const fromUrl = urlOf(entry.connectionString);
  const host = entry.host ?? entry.hosts?.join('+') ?? fromUrl?.hostname ?? 'localhost';
  const port = entry.hosts === undefined ? (entry.port ?? fromUrl?.port) : undefined;
  const database = entry.database ?? fromUrl?.pathname.slice(1);
  return `${host}${port ? `:${port}` : ''}${database ? `/${database}` : ''}`;
}

function urlOf(text: string | undefined): URL | undefined {
  return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
}
