import {
  type ConnectionEntry,
  type ConnectionSettings,
  type DatastoreOptions,
  parseShardRanges,
  type ShardRangesInput,
  shardMapOf,
} from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { unknownServer } from '../internal/unknown-server.ts';
import { checkKeys, type Locate, located, objectAt } from './location.ts';
import { resolveControl, resolveServers, type Servers } from './servers.ts';
import { CONFIGURATION_KEYS, POOL_KEYS, SECTION_NAMES, type SectionName } from './shape.ts';

/** What is fixed at the first install and stored in the database. */
export interface FixedSettings {
  readonly epoch?: number;
  readonly slots?: number;
  readonly firstShard?: number;
  readonly schemaPrefix?: string;
}

/** A configuration that was checked, as programs need it. */
export interface ResolvedConfiguration {
  readonly servers: Servers;
  /** One entry per server with shards; `live` to follow the map in the control database; nothing without `shards`. */
  readonly connections: readonly ConnectionEntry[] | 'live' | undefined;
  readonly control: ConnectionSettings | undefined;
  readonly datastore: DatastoreOptions;
  readonly fixed: FixedSettings;
  /** The options of the modules that are named. */
  readonly sections: ReadonlyMap<SectionName, Readonly<Record<string, unknown>>>;
  readonly locate: Locate;
}

/**
 * Checks a configuration. No I/O.
 * @throws ConfigurationError, ShardRangeError: with the place
 */
export function resolveConfiguration(value: unknown, locate: Locate): ResolvedConfiguration {
  const root = objectAt(value, 'an object with servers and shards', locate, []);
  checkKeys(root, CONFIGURATION_KEYS, locate, []);
  if (root.servers === undefined) throw new ConfigurationError(`${locate([])}: servers is missing`);
  const servers = resolveServers(root.servers, locate);
  const control = resolveControl(root.control, servers, locate);
  const connections = resolveShards(root.shards, servers, locate);
  if (connections === 'live' && control === undefined) {
    throw new ConfigurationError(`${locate(['shards'])}: live shards need control, the server that holds the map`);
  }
  const fixed = resolveFixed(root, locate);
  return {
    servers,
    control,
    connections,
    fixed,
    datastore: { ...resolvePool(root.pool, locate), ...fixed },
    sections: resolveSections(root, locate),
    locate,
  };
}

function resolveShards(value: unknown, servers: Servers, locate: Locate): ResolvedConfiguration['connections'] {
  if (value === undefined || value === null) return undefined;
  if (value === 'live') return 'live';
  const path = ['shards'];
  const shards = Object.entries(objectAt(value, "'live', or server names with ranges", locate, path));
  if (shards.length === 0) throw new ConfigurationError(`${locate(path)}: name at least one server with its range`);
  const entries = shards.map(([name, input]): ConnectionEntry => {
    const settings = servers.get(name);
    if (settings === undefined) throw unknownServer(locate([...path, name]), name, servers.keys());
    const ranges = parseShardRanges(input as ShardRangesInput, locate([...path, name]));
    return { ...settings, name, shards: ranges };
  });
  located(locate, path, () => shardMapOf(entries));
  return entries;
}

function resolveFixed(root: Readonly<Record<string, unknown>>, locate: Locate): FixedSettings {
  const { epoch, slots, firstShard, schemaPrefix } = root;
  for (const [key, number] of Object.entries({ slots, firstShard })) {
    if (number === undefined || (Number.isInteger(number) && (number as number) >= 0)) continue;
    throw new ConfigurationError(`${locate([key])}: must be a whole number, not ${String(number)}`);
  }
  if (schemaPrefix !== undefined && typeof schemaPrefix !== 'string') {
    throw new ConfigurationError(`${locate(['schemaPrefix'])}: must be a text`);
  }
  return {
    ...(epoch !== undefined && { epoch: epochMs(epoch, locate) }),
    ...(slots !== undefined && { slots: slots as number }),
    ...(firstShard !== undefined && { firstShard: firstShard as number }),
    ...(schemaPrefix !== undefined && { schemaPrefix }),
  };
}

function epochMs(epoch: unknown, locate: Locate): number {
  // Without a zone the text would mean another moment on each machine.
  const zoned = typeof epoch === 'string' && /^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:?\d\d))?$/.test(epoch);
  const ms = epoch instanceof Date ? epoch.getTime() : zoned ? Date.parse(epoch) : epoch;
  if (Number.isSafeInteger(ms) && (ms as number) >= 0) return ms as number;
  throw new ConfigurationError(
    `${locate(['epoch'])}: must be milliseconds since 1970, or a time like 2013-09-16T21:05:31.352Z`,
  );
}

function resolvePool(value: unknown, locate: Locate): DatastoreOptions {
  if (value === undefined || value === null) return {};
  const pool = objectAt(value, 'an object', locate, ['pool']);
  checkKeys(pool, POOL_KEYS, locate, ['pool']);
  for (const [key, setting] of Object.entries(pool)) {
    const right = key === 'prepare' ? typeof setting === 'boolean' : Number.isSafeInteger(setting);
    if (setting === undefined || right) continue;
    const wanted = key === 'prepare' ? 'true or false' : 'a whole number';
    throw new ConfigurationError(`${locate(['pool', key])}: must be ${wanted}, not ${String(setting)}`);
  }
  return pool;
}

function resolveSections(root: Readonly<Record<string, unknown>>, locate: Locate): ResolvedConfiguration['sections'] {
  const sections = new Map<SectionName, Readonly<Record<string, unknown>>>();
  for (const name of SECTION_NAMES) {
    const section = root[name];
    if (section === false || section === undefined) continue;
    // `kv:` with nothing behind it switches the module on, as `kv: true` does.
    const on = section === true || section === null;
    sections.set(name, on ? {} : objectAt(section, 'an object, true or false', locate, [name]));
  }
  return sections;
}
