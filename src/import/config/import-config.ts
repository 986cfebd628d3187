import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { TypeOverride } from '../mapping/map-table.ts';
import { RawSection } from './raw.ts';
import { resolveSource, type SourceConfig } from './source-config.ts';
import { type Topology, topologyOfPgConn, topologyOfServers } from './topology.ts';

/** Everything the engine knows, with defaults filled in. */
export interface ImportConfig {
  readonly topology: Topology;
  readonly sources: ReadonlyMap<string, SourceConfig>;
  readonly overrides: Readonly<Record<string, TypeOverride>>;
  /** Table (`schema.table`) → fillfactor. */
  readonly fillfactors: ReadonlyMap<string, number>;
  readonly pidDir: string;
  readonly logDir: string;
  readonly logDest: 'file' | 'stdout';
  readonly logLevel: LogLevel;
  readonly logDaysKeep: number;
  /** Both set: the Rollbar notifier is on. */
  readonly rollbarKey: string | null;
  readonly rollbarEnv: string | null;
  /** Called with every notice as JSON by HTTP POST. */
  readonly webhookUrl: string | null;
  /** What was found in the file and has no meaning here. */
  readonly warnings: readonly string[];
}

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

const GLOBAL_KEYS = [
  'pid_dir',
  'log_dir',
  'log_dest',
  'log_level',
  'log_days_keep',
  'rollbar_key',
  'rollbar_env',
  'webhook_url',
  'type_override',
  'fillfactor',
  'sources',
];

/** Keys of hypervault.yaml that belong to other modules: their sections are not looked at here. */
const OTHER_SECTIONS = [
  'servers',
  'shards',
  'control',
  'slots',
  'firstShard',
  'schemaPrefix',
  'epoch',
  'pool',
  'install',
  'datastore',
  'kv',
  'streams',
  'listen',
  'cluster',
  'import',
];

/**
 * Reads a configuration of either kind: pg_chameleon's (`pg_conn` and `sources`) or hypervault's own (`servers` and a
 * section `import` with the same keys).
 *
 * @throws ConfigurationError naming the key
 */
export function resolveImportConfig(value: unknown): ImportConfig {
  const raw = new RawSection('configuration', value);
  const warnings: string[] = [];
  if (raw.get('sources') !== undefined || raw.get('pg_conn') !== undefined) {
    assertKnownKeys(keysOf(raw), [...GLOBAL_KEYS, 'pg_conn'], raw.where);
    return resolve(raw, topologyOfPgConn(raw.section('pg_conn'), warnings), warnings);
  }
  assertKnownKeys(keysOf(raw), OTHER_SECTIONS, raw.where);
  if (raw.get('import') === undefined) {
    throw new ConfigurationError('the configuration has no section "import"; write import: { sources: … } or import: { file: FILE }');
  }
  const section = raw.section('import');
  assertKnownKeys(keysOf(section), [...GLOBAL_KEYS, 'file', 'pg_conn'], section.where);
  const topology =
    section.get('pg_conn') === undefined || raw.get('servers') !== undefined
      ? topologyOfServers(raw)
      : topologyOfPgConn(section.section('pg_conn'), warnings);
  return resolve(section, topology, warnings);
}

function keysOf(raw: RawSection): object {
  return Object.fromEntries(raw.keys.map((key) => [key, 0]));
}

function resolve(raw: RawSection, topology: Topology, warnings: string[]): ImportConfig {
  const sources = new Map<string, SourceConfig>();
  const section = raw.section('sources');
  for (const name of section.keys) {
    const source = resolveSource(name, section.section(name).all, warnings);
    if (source.server !== null && !topology.servers.has(source.server)) {
      throw new ConfigurationError(`sources.${name}.server: there is no server ${JSON.stringify(source.server)}`);
    }
    if (source.routing !== null && topology.shards === null) {
      throw new ConfigurationError(`sources.${name}.shard_by needs shards: name servers and their shard ranges in the configuration`);
    }
    sources.set(name, source);
  }
  return {
    topology,
    sources,
    overrides: readOverrides(raw.section('type_override')),
    fillfactors: readFillfactors(raw.section('fillfactor'), warnings),
    pidDir: raw.text('pid_dir') ?? '~/.pg_hypervault/pid/',
    logDir: raw.text('log_dir') ?? '~/.pg_hypervault/logs/',
    logDest: raw.oneOf('log_dest', ['file', 'stdout']) ?? 'file',
    logLevel: raw.oneOf('log_level', ['debug', 'info', 'warning', 'error']) ?? 'info',
    logDaysKeep: raw.number('log_days_keep') ?? 10,
    rollbarKey: raw.text('rollbar_key') ?? null,
    rollbarEnv: raw.text('rollbar_env') ?? null,
    webhookUrl: raw.text('webhook_url') ?? null,
    warnings,
  };
}

function readOverrides(raw: RawSection): Record<string, TypeOverride> {
  const overrides: Record<string, TypeOverride> = {};
  for (const type of raw.keys) {
    const section = raw.section(type);
    assertKnownKeys(keysOf(section), ['override_to', 'override_tables'], section.where);
    const tables = section.list('override_tables');
    overrides[type] = { to: section.required('override_to'), tables: tables.length > 0 ? tables : ['*'] };
  }
  return overrides;
}

function readFillfactors(raw: RawSection, warnings: string[]): Map<string, number> {
  const result = new Map<string, number>();
  for (const level of raw.keys) {
    const factor = Number(level);
    if (!Number.isInteger(factor) || factor < 10 || factor > 100) {
      throw new ConfigurationError(`${raw.where}: ${JSON.stringify(level)} is not a fillfactor from 10 to 100`);
    }
    const tables = raw.section(level).list('tables');
    if (tables.length === 0) warnings.push(`${raw.where}.${level} names no tables`);
    for (const table of tables) result.set(table, factor);
  }
  return result;
}
