import type { FixedSettings, ResolvedConfiguration } from '../../config/index.ts';
import { type RoutingSettings, type ShardMap, shardMapOf } from '../../core/index.ts';
import { CONNECTION_SETTING_KEYS, type ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { RawSection } from './raw.ts';

/** Where rows can go, and where the catalogue is. */
export interface Topology {
  readonly servers: ReadonlyMap<string, ConnectionSettings>;
  /** Name of the server whose database holds the catalogue. */
  readonly control: string;
  /** `null` when the configuration knows of no shards. */
  readonly shards: PlacedShards | LiveShards | null;
}

/** Which server holds which shard, and how keys find theirs. */
export interface PlacedShards {
  readonly kind: 'named';
  readonly map: ShardMap;
  readonly routing: RoutingSettings;
  readonly prefix: string;
}

/** The map in the control database says it (`shards: live`). */
export interface LiveShards {
  readonly kind: 'live';
  /** What the configuration says of things fixed at install. */
  readonly fixed: FixedSettings;
  /** Where the configuration says so. */
  readonly where: string;
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

/** The topology of hypervault's own configuration. */
export function topologyOf(configuration: ResolvedConfiguration): Topology {
  const servers = new Map(configuration.servers);
  const [only] = servers.keys();
  const control = configuration.control ?? servers.get(only!)!;
  // The control database may be another one on the same server; it is a place of its own then
  const known = [...servers].find(([, settings]) => settings === control)?.[0];
  const name = known ?? CONTROL;
  if (known === undefined) servers.set(CONTROL, control);
  return { servers, control: name, shards: shardsOf(configuration) };
}

const CONTROL = 'control';

function shardsOf({ connections, fixed, locate }: ResolvedConfiguration): Topology['shards'] {
  if (connections === undefined) return null;
  if (connections === 'live') return { kind: 'live', fixed, where: locate(['shards']) };
  const map = shardMapOf(connections);
  const all = map.shards;
  return {
    kind: 'named',
    map,
    routing: { slots: fixed.slots ?? all.length, firstShard: fixed.firstShard ?? all[0] ?? 1 },
    prefix: fixed.schemaPrefix ?? 'shard',
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
