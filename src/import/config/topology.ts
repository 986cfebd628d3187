import { ConfigurationError } from '../../errors.ts';
import { CONNECTION_SETTING_KEYS, type ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { type RoutingSettings, ShardMap, parseShardRanges } from '../../core/index.ts';
import { RawSection } from './raw.ts';

/** Where rows can go, and where the catalogue is. */
export interface Topology {
  readonly servers: ReadonlyMap<string, ConnectionSettings>;
  /** Name of the server whose database holds the catalogue. */
  readonly control: string;
  /** `null` when the configuration knows of no shards. */
  readonly shards: { readonly map: ShardMap; readonly routing: RoutingSettings; readonly prefix: string } | null;
}

/** The name that the only server of a pg_chameleon file has. */
export const PG_CONN = 'pg_conn';

/** The topology of a pg_chameleon file: one database for everything. */
export function topologyOfPgConn(raw: RawSection, warnings: string[]): Topology {
  if (raw.get('charset') !== undefined && !/utf-?8/i.test(raw.text('charset')!)) {
    warnings.push(`${raw.where}.charset has no meaning here: text is always sent as UTF-8`);
  }
  return { servers: new Map([[PG_CONN, connectionOf(raw, ['charset'])]]), control: PG_CONN, shards: null };
}

/** The topology of hypervault's own configuration: `servers`, `shards`, `control`, `slots`, `firstShard`. */
export function topologyOfServers(raw: RawSection): Topology {
  const servers = new Map<string, ConnectionSettings>();
  const section = raw.section('servers');
  for (const name of section.keys) servers.set(name, connectionOf(section.section(name), ['standbys']));
  if (servers.size === 0) throw new ConfigurationError('servers is empty; name at least one server');
  const control = raw.get('control');
  if (typeof control === 'object') {
    servers.set('control', connectionOf(raw.section('control'), ['server']));
    const base = raw.section('control').text('server');
    if (base !== undefined) servers.set('control', { ...pick(servers, base), ...servers.get('control') });
  }
  const controlName = typeof control === 'string' ? control : typeof control === 'object' ? 'control' : [...servers.keys()][0]!;
  pick(servers, controlName);
  return { servers, control: controlName, shards: shardsOf(raw, servers) };
}

function pick(servers: ReadonlyMap<string, ConnectionSettings>, name: string): ConnectionSettings {
  const settings = servers.get(name);
  if (settings !== undefined) return settings;
  throw new ConfigurationError(`there is no server ${JSON.stringify(name)}; known: ${[...servers.keys()].join(', ')}`);
}

function shardsOf(raw: RawSection, servers: ReadonlyMap<string, ConnectionSettings>): Topology['shards'] {
  const shards = raw.get('shards');
  if (typeof shards !== 'object' || shards === null) return null;
  const map = new ShardMap(
    Object.entries(shards as Record<string, string>).map(([name, ranges]) => ({
      name,
      connection: pick(servers, name),
      ranges: parseShardRanges(ranges, `shards.${name}`),
    })),
  );
  const slots = raw.number('slots');
  const all = map.shards;
  return {
    map,
    routing: { slots: slots ?? all.length, firstShard: raw.number('firstShard') ?? all[0] ?? 1 },
    prefix: raw.text('schemaPrefix') ?? 'shard',
  };
}

function connectionOf(raw: RawSection, others: readonly string[]): ConnectionSettings {
  const ours: readonly string[] = CONNECTION_SETTING_KEYS;
  assertKnownKeys(Object.fromEntries(raw.keys.map((key) => [key, 0])), [...ours, ...others], raw.where);
  const settings: Record<string, unknown> = {};
  for (const key of raw.keys) {
    if (ours.includes(key) && raw.get(key) !== undefined) settings[key] = raw.get(key);
  }
  const port = raw.number('port');
  if (port !== undefined) settings.port = port;
  return settings as ConnectionSettings;
}
