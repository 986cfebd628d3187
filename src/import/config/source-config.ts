import { ConfigurationError } from '../../errors.ts';
import type { ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { ValuePolicies } from '../mapping/value-policy.ts';
import type { MysqlSettings } from '../mysql/settings.ts';
import { slotName } from '../postgres/publication.ts';
import { readMysqlConnection, readPostgresConnection } from './connection-config.ts';
import { RawSection } from './raw.ts';
import { parseRouting, type RoutingConfig } from './routing-config.ts';
import { parseDuration, parseSize } from './units.ts';

/** One source, with every default filled in. Keys of the file in parentheses where they are named otherwise. */
export interface SourceConfig {
  readonly name: string;
  /** (`type`) */
  readonly kind: 'mysql' | 'pgsql';
  /** (`db_conn`) of a MySQL source. */
  readonly mysql: MysqlSettings | null;
  /** (`db_conn`) of a Postgres source. */
  readonly postgres: ConnectionSettings | null;
  /** Origin schema → target schema. */
  readonly schemaMappings: Readonly<Record<string, string>>;
  /** `schema.table`; empty means all. */
  readonly limitTables: readonly string[];
  readonly skipTables: readonly string[];
  /** Kinds of changes left out, by `schema` or `schema.table`. */
  readonly skipEvents: Readonly<Record<'insert' | 'update' | 'delete', readonly string[]>>;
  readonly grantSelectTo: readonly string[];
  readonly lockTimeoutMs: number;
  /** (`my_server_id`) */
  readonly serverId: number;
  readonly replicaBatchSize: number;
  readonly replayMaxRows: number;
  readonly copyMaxMemoryBytes: number;
  readonly sleepLoopMs: number;
  readonly onErrorReplay: 'continue' | 'exit';
  readonly onErrorRead: 'continue' | 'exit';
  /** `null`: no maintenance by itself. */
  readonly autoMaintenanceMs: number | null;
  readonly gtidEnable: boolean;
  /** Rows go into tables that are there, whose types and keys stay. */
  readonly keepExistingSchema: boolean;

  /** Name of the server that takes the rows, when they are not sharded. @default the control server */
  readonly server: string | null;
  /** Where each table's rows go, when the target is the shards. */
  readonly routing: RoutingConfig | null;
  readonly valuePolicies: ValuePolicies;
  /** TIMESTAMP becomes timestamptz. */
  readonly timestamptz: boolean;
  /** Generated columns stay generated. */
  readonly keepGenerated: boolean;
  /** Sessions that copy side by side. */
  readonly copyWorkers: number;
  /** `direct`: changes go from the reader to the target through memory; `log`: through a table, the workers run apart. */
  readonly mode: 'direct' | 'log';
  /** Name of the replication slot and the publication on a Postgres source. @default hypervault_ and the source's name */
  readonly replicationSlot: string;
  /** Sets the replica identity of a Postgres source's tables to full where the log would not tell enough. */
  readonly setReplicaIdentity: boolean;
  /** Adds the routing column to tables of a Postgres source that lack it and have a parent with it. */
  readonly addKeyColumn: boolean;
}

/** Keys of pg_chameleon that say nothing here, and why. */
const WITHOUT_MEANING: Record<string, string> = {
  copy_mode: 'rows are always streamed, without a file between',
  out_dir: 'no files are written during the copy',
  batch_retention: 'changes are kept only until they are applied',
  readers: 'use copy_workers',
  writers: 'use copy_workers',
  enable_compression: 'nothing is kept on disk during the copy',
};

const KEYS = [
  'type',
  'db_conn',
  'schema_mappings',
  'limit_tables',
  'skip_tables',
  'skip_events',
  'grant_select_to',
  'lock_timeout',
  'my_server_id',
  'replica_batch_size',
  'replay_max_rows',
  'copy_max_memory',
  'sleep_loop',
  'on_error_replay',
  'on_error_read',
  'auto_maintenance',
  'gtid_enable',
  'keep_existing_schema',
  'net_read_timeout',
  'server',
  'shard_by',
  'reference_tables',
  'reference_schema',
  'value_policy',
  'timestamptz',
  'generated_columns',
  'copy_workers',
  'mode',
  'replication_slot',
  'set_replica_identity',
  'add_key_column',
  ...Object.keys(WITHOUT_MEANING),
] as const;

/** Reads one source. What has no meaning here is added to `warnings`. */
export function resolveSource(name: string, value: unknown, warnings: string[]): SourceConfig {
  const raw = new RawSection(`sources.${name}`, value);
  assertKnownKeys(Object.fromEntries(raw.keys.map((key) => [key, 0])), KEYS, raw.where);
  for (const [key, reason] of Object.entries(WITHOUT_MEANING)) {
    if (raw.get(key) !== undefined) warnings.push(`${raw.where}.${key} has no meaning here: ${reason}`);
  }
  const kind = raw.oneOf('type', ['mysql', 'pgsql']) ?? 'mysql';
  const netTimeoutSeconds = raw.number('net_read_timeout') ?? 600;
  const skip = raw.section('skip_events');
  const routing = parseRouting(raw);
  const mappings = raw.texts('schema_mappings');
  if (Object.keys(mappings).length === 0)
    throw new ConfigurationError(`${raw.where}.schema_mappings is empty; write "origin: target"`);
  refuseClashes(raw.where, mappings);
  return {
    name,
    kind,
    mysql: kind === 'mysql' ? readMysqlConnection(raw, netTimeoutSeconds, warnings) : null,
    postgres: kind === 'pgsql' ? readPostgresConnection(raw) : null,
    schemaMappings: mappings,
    limitTables: raw.list('limit_tables'),
    skipTables: raw.list('skip_tables'),
    skipEvents: { insert: skip.list('insert'), update: skip.list('update'), delete: skip.list('delete') },
    grantSelectTo: raw.list('grant_select_to'),
    lockTimeoutMs: duration(raw, 'lock_timeout', '120s', 1_000),
    serverId: raw.number('my_server_id') ?? defaultServerId(name),
    replicaBatchSize: raw.number('replica_batch_size') ?? 10_000,
    replayMaxRows: raw.number('replay_max_rows') ?? 10_000,
    copyMaxMemoryBytes: parseSize(
      (raw.get('copy_max_memory') as string | undefined) ?? '300M',
      `${raw.where}.copy_max_memory`,
    ),
    sleepLoopMs: duration(raw, 'sleep_loop', 1, 1_000),
    onErrorReplay: raw.oneOf('on_error_replay', ['continue', 'exit']) ?? 'continue',
    onErrorRead: raw.oneOf('on_error_read', ['continue', 'exit']) ?? 'continue',
    autoMaintenanceMs: readMaintenance(raw),
    gtidEnable: raw.flag('gtid_enable') ?? false,
    keepExistingSchema: readKeptSchema(raw, routing !== null),
    server: raw.text('server') ?? null,
    routing,
    valuePolicies: readPolicies(raw),
    timestamptz: raw.flag('timestamptz') ?? false,
    keepGenerated: raw.oneOf('generated_columns', ['plain', 'generated']) === 'generated',
    copyWorkers: Math.max(1, raw.number('copy_workers') ?? 2),
    mode: readMode(raw),
    replicationSlot: raw.text('replication_slot') ?? slotName(name),
    setReplicaIdentity: raw.flag('set_replica_identity') ?? false,
    addKeyColumn: raw.flag('add_key_column') ?? false,
  };
}

function readKeptSchema(raw: RawSection, routed: boolean): boolean {
  if (raw.flag('keep_existing_schema') !== true) return false;
  if (raw.text('type') === 'pgsql')
    throw new ConfigurationError(`${raw.where}.keep_existing_schema works for MySQL sources only; take the line out`);
  if (routed)
    throw new ConfigurationError(
      `${raw.where}.keep_existing_schema does not go with shard_by: tables of the shards are made by the import`,
    );
  return true;
}

/** The log between two workers would never be let go of by the source: its slot is that log already. */
function readMode(raw: RawSection): SourceConfig['mode'] {
  const mode = raw.oneOf('mode', ['direct', 'log']) ?? 'direct';
  if (mode === 'log' && raw.text('type') === 'pgsql')
    throw new ConfigurationError(`${raw.where}.mode: log is for MySQL sources; take the line out`);
  return mode;
}

function duration(raw: RawSection, key: string, fallback: string | number, unitMs: number): number {
  const value = raw.get(key) as string | number | undefined;
  return parseDuration(value ?? fallback, `${raw.where}.${key}`, unitMs);
}

function refuseClashes(where: string, mappings: Readonly<Record<string, string>>): void {
  const taken = new Map<string, string>();
  for (const [origin, target] of Object.entries(mappings)) {
    const other = taken.get(target);
    if (other !== undefined) {
      throw new ConfigurationError(
        `${where}.schema_mappings: ${other} and ${origin} both go to ${target}; give each its own schema`,
      );
    }
    taken.set(target, origin);
  }
}

function readMaintenance(raw: RawSection): number | null {
  const value = raw.get('auto_maintenance');
  if (value === undefined || value === 'disabled' || value === false) return null;
  return parseDuration(value as string | number, `${raw.where}.auto_maintenance`, 1_000);
}

function readPolicies(raw: RawSection): ValuePolicies {
  const value = raw.get('value_policy');
  if (value === undefined) return {};
  const policies: Record<string, string | number | null> = {};
  for (const [name, policy] of Object.entries(value as Record<string, unknown>)) {
    if (policy !== null && typeof policy !== 'string' && typeof policy !== 'number')
      throw raw.wrong('value_policy', 'a section of texts');
    policies[name] = policy;
  }
  return policies;
}

/** A server id of our own for each source, away from the small numbers that people give to theirs. */
function defaultServerId(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)!) % 1_000_000;
  return 2_000_000_000 + hash;
}
