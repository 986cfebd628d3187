import type { ResolvedConfiguration } from '../../config/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { LOG_LEVELS, type LogLevel } from '../log/levels.ts';
import type { TypeOverride } from '../mapping/map-table.ts';
import { RawSection } from './raw.ts';
import { resolveSource, type SourceConfig } from './source-config.ts';
import { type Topology, topologyOf, topologyOfPgConn } from './topology.ts';

/** Everything the engine knows, with defaults filled in. */
export interface ImportConfig {
  readonly topology: Topology;
  readonly sources: ReadonlyMap<string, SourceConfig>;
  readonly overrides: Readonly<Record<string, TypeOverride>>;
  /** Table (`schema.table`) → fillfactor. */
  readonly fillfactors: ReadonlyMap<string, number>;
  readonly pidDir: string;
  readonly logDir: string;
  /** `null`: a daemon writes a file, another process to its terminal. */
  readonly logDest: 'file' | 'stdout' | null;
  readonly logLevel: LogLevel;
  readonly logDaysKeep: number;
  /** Both set: the Rollbar notifier is on. */
  readonly rollbarKey: string | null;
  readonly rollbarEnv: string | null;
  /** @default Rollbar's own */
  readonly rollbarUrl: string | null;
  /** Called with every notice as JSON by HTTP POST. */
  readonly webhookUrl: string | null;
  /** What was found in the file and has no meaning here. */
  readonly warnings: readonly string[];
}

const GLOBAL_KEYS = [
  'pid_dir',
  'log_dir',
  'log_dest',
  'log_level',
  'log_days_keep',
  'rollbar_key',
  'rollbar_env',
  'rollbar_url',
  'webhook_url',
  'type_override',
  'fillfactor',
  'sources',
];

/** Whether a value is a pg_chameleon file: hypervault's own has `servers`. */
export function isChameleon(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('pg_conn' in value || 'sources' in value);
}

/**
 * Checks a pg_chameleon configuration (`pg_conn` and `sources`).
 * @throws ConfigurationError naming the key
 */
export function resolveChameleon(value: unknown): ImportConfig {
  const raw = new RawSection('configuration', value);
  const warnings: string[] = [];
  assertKnownKeys(keysOf(raw), [...GLOBAL_KEYS, 'pg_conn'], raw.where);
  return resolve(raw, topologyOfPgConn(raw.section('pg_conn'), warnings), warnings);
}

/**
 * Checks the section `import` of hypervault's own configuration, which has the same keys.
 * @throws ConfigurationError naming the key
 */
export function resolveImportSection(section: unknown, configuration: ResolvedConfiguration): ImportConfig {
  const raw = new RawSection('import', section);
  const warnings: string[] = [];
  assertKnownKeys(keysOf(raw), [...GLOBAL_KEYS, 'pg_conn'], raw.where);
  if (raw.get('pg_conn') !== undefined)
    warnings.push('import.pg_conn has no meaning here: rows go to the servers of the configuration');
  return resolve(raw, topologyOf(configuration), warnings);
}

function keysOf(raw: RawSection): object {
  return Object.fromEntries(raw.keys.map((key) => [key, 0]));
}

function resolve(raw: RawSection, topology: Topology, warnings: string[]): ImportConfig {
  // A notifier that is silent without a word is a trap
  if ((raw.get('rollbar_key') === undefined) !== (raw.get('rollbar_env') === undefined))
    warnings.push(`${raw.where}: Rollbar is off, for it needs both rollbar_key and rollbar_env`);
  const sources = new Map<string, SourceConfig>();
  const section = raw.section('sources');
  for (const name of section.keys) {
    const source = resolveSource(name, section.section(name).all, warnings);
    if (source.server !== null && !topology.servers.has(source.server)) {
      throw new ConfigurationError(`sources.${name}.server: there is no server ${JSON.stringify(source.server)}`);
    }
    if (source.routing !== null && topology.shards === null) {
      throw new ConfigurationError(
        `sources.${name}.shard_by needs shards: name servers and their shard ranges in the configuration`,
      );
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
    logDest: raw.oneOf<'file' | 'stdout'>('log_dest', ['file', 'stdout']) ?? null,
    logLevel: raw.oneOf('log_level', LOG_LEVELS) ?? 'info',
    logDaysKeep: raw.number('log_days_keep') ?? 10,
    rollbarKey: raw.text('rollbar_key') ?? null,
    rollbarEnv: raw.text('rollbar_env') ?? null,
    rollbarUrl: raw.text('rollbar_url') ?? null,
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
