import type { ClientBase } from 'pg';
import { SV, sqlStateOf } from '../../internal/sqlstate.ts';
import { ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';

export type SourceStatus =
  | 'ready'
  | 'initialising'
  | 'initialised'
  | 'syncing'
  | 'synced'
  | 'stopped'
  | 'running'
  | 'error';

/** Which way rows flow: from the source, to it after the switch, on the way from one to the other, or for the last time. */
export type Direction = 'forward' | 'switching' | 'reverse' | 'returning' | 'finishing';

/** A source as the catalogue knows it. */
export interface SourceRow {
  readonly id: bigint;
  /** Names the source on the servers that receive its rows. */
  readonly key: string;
  readonly name: string;
  readonly kind: 'mysql' | 'pgsql';
  readonly status: SourceStatus;
  readonly direction: Direction;
  readonly reason: string | null;
  readonly mappings: Readonly<Record<string, string>>;
  readonly consistent: boolean;
  readonly highWater: bigint | null;
  readonly stopRequested: boolean;
  readonly paused: boolean;
  readonly lastMaintenance: Date | null;
  readonly readOrdinal: bigint | null;
  readonly readPosition: string | null;
  readonly readSourceTime: Date | null;
  readonly readAt: Date | null;
  readonly heardAt: Date | null;
  /** Which server the log was read from, when it is resumed by GTID. */
  readonly origin: string | null;
  readonly added: Date;
}

type Queryable = Pick<ClientBase, 'query'>;

const COLUMNS = `
  source_id::text as id, key, name, kind, status, direction, reason, mappings, consistent, high_water::text as high_water,
  stop_requested, paused, last_maintenance, read_ordinal::text as read_ordinal, read_position, read_source_time,
  read_at, heard_at, origin, added`;

type Raw = Record<string, unknown>;

function toRow(raw: Raw): SourceRow {
  const big = (value: unknown): bigint | null => (value === null ? null : BigInt(value as string));
  return {
    id: BigInt(raw.id as string),
    key: raw.key as string,
    name: raw.name as string,
    kind: raw.kind as SourceRow['kind'],
    status: raw.status as SourceStatus,
    direction: raw.direction as Direction,
    reason: raw.reason as string | null,
    mappings: raw.mappings as Record<string, string>,
    consistent: raw.consistent as boolean,
    highWater: big(raw.high_water),
    stopRequested: raw.stop_requested as boolean,
    paused: raw.paused as boolean,
    lastMaintenance: raw.last_maintenance as Date | null,
    readOrdinal: big(raw.read_ordinal),
    readPosition: raw.read_position as string | null,
    readSourceTime: raw.read_source_time as Date | null,
    readAt: raw.read_at as Date | null,
    heardAt: raw.heard_at as Date | null,
    origin: raw.origin as string | null,
    added: raw.added as Date,
  };
}

export async function listSources(client: Queryable): Promise<SourceRow[]> {
  const { rows } = await client.query<Raw>(`select ${COLUMNS} from hypervault.import_source order by source_id`);
  return rows.map(toRow);
}

export async function findSource(client: Queryable, name: string): Promise<SourceRow | null> {
  const { rows } = await client.query<Raw>(`select ${COLUMNS} from hypervault.import_source where name = $1`, [name]);
  return rows[0] === undefined ? null : toRow(rows[0]);
}

/** @throws ReplicaStateError when no source of that name is registered */
export async function getSource(client: Queryable, name: string): Promise<SourceRow> {
  const row = await findSource(client, name);
  if (row === null) throw new ReplicaStateError(`the source ${name} is not registered; run add-source first`);
  return row;
}

/**
 * Registers a source. Returns `false` when it is there already.
 * @throws ReplicaStateError when one of its target schemas belongs to another source
 */
export async function insertSource(
  client: Queryable,
  source: { readonly name: string; readonly kind: string; readonly mappings: object; readonly target: object },
): Promise<boolean> {
  try {
    const { rows } = await client.query<{ id: string | null }>(
      'select hypervault.import_add_source($1, $2, $3, $4) as id',
      [source.name, source.kind, JSON.stringify(source.mappings), JSON.stringify(source.target)],
    );
    return rows[0]!.id !== null;
  } catch (cause) {
    if (sqlStateOf(cause) !== SV.importSchemaTaken) throw cause;
    const { schema, source: holder } = JSON.parse((cause as { detail: string }).detail) as {
      schema: string;
      source: string;
    };
    throw new ReplicaStateError(
      `the target schema ${schema} belongs to the source ${holder}; choose another one in schema_mappings of ${source.name}`,
      { cause },
    );
  }
}

export async function setStatus(
  client: Queryable,
  source: Pick<SourceRow, 'id'>,
  status: SourceStatus,
  reason: string | null = null,
): Promise<void> {
  await client.query('update hypervault.import_source set status = $2, reason = $3 where source_id = $1', [
    source.id.toString(),
    status,
    reason,
  ]);
}

export async function setDirection(client: Queryable, source: SourceRow, direction: Direction): Promise<void> {
  await client.query('update hypervault.import_source set direction = $2 where source_id = $1', [
    source.id.toString(),
    direction,
  ]);
}

/** What ends each direction but the first. */
const NEXT = {
  switching: 'switch or back first, or finish',
  reverse: 'back first, or finish',
  returning: 'back first, or finish',
  finishing: 'finish again, it was cut off',
} as const;

/** @throws ReplicaStateError when the rows of a source live in the shards already */
export function refuseSwitched({ name, direction }: SourceRow): void {
  if (direction === 'forward') return;
  throw new ReplicaStateError(
    `the source ${name} is ${direction === 'reverse' ? 'switched' : direction}: run hypervault import ${NEXT[direction]}`,
  );
}

/** Sets what the workers look at: whether they shall stop, or pause. */
export async function setFlags(
  client: Queryable,
  source: Pick<SourceRow, 'id'>,
  flags: { readonly stopRequested?: boolean; readonly paused?: boolean },
): Promise<void> {
  await client.query(
    `update hypervault.import_source
        set stop_requested = coalesce($2, stop_requested),
            paused = coalesce($3, paused)
      where source_id = $1`,
    [source.id.toString(), flags.stopRequested ?? null, flags.paused ?? null],
  );
}

/** Stores from which place on the tables are consistent with each other. */
export async function setConsistency(
  client: Queryable,
  source: SourceRow,
  highWater: bigint | null,
  consistent: boolean,
): Promise<void> {
  await client.query('update hypervault.import_source set high_water = $2, consistent = $3 where source_id = $1', [
    source.id.toString(),
    highWater === null ? null : highWater.toString(),
    consistent,
  ]);
}

/** What the reading worker tells of itself. */
export interface ReadProgress {
  /** `null`: no news since. */
  readonly position: Position | null;
  /** Source time of the newest change read; 0: no news. */
  readonly sourceTimeMs: number;
  /** Whether the reader stands at the end of the source's log now. */
  readonly caughtUp: boolean;
}

export async function noteRead(
  client: Queryable,
  source: SourceRow,
  { position, sourceTimeMs, caughtUp }: ReadProgress,
): Promise<void> {
  await client.query(
    `update hypervault.import_source
        set read_ordinal = coalesce($2, read_ordinal),
            read_position = coalesce($3, read_position),
            read_source_time = coalesce($4, read_source_time),
            read_at = case when $2::numeric is null then read_at else clock_timestamp() end,
            heard_at = case when $5 then clock_timestamp() else heard_at end
      where source_id = $1`,
    [
      source.id.toString(),
      position === null ? null : position.ordinal.toString(),
      position?.text ?? null,
      sourceTimeMs === 0 ? null : new Date(sourceTimeMs),
      caughtUp,
    ],
  );
}

export async function noteMaintenance(client: Queryable, source: SourceRow): Promise<void> {
  await client.query('update hypervault.import_source set last_maintenance = clock_timestamp() where source_id = $1', [
    source.id.toString(),
  ]);
}

export async function setMappings(
  client: Queryable,
  source: SourceRow,
  mappings: Readonly<Record<string, string>>,
): Promise<void> {
  await client.query('update hypervault.import_source set mappings = $2 where source_id = $1', [
    source.id.toString(),
    JSON.stringify(mappings),
  ]);
}

/** Stores which server the log is read from. Returns `false` when somebody else has changed it meanwhile. */
export async function replaceOrigin(client: Queryable, source: SourceRow, origin: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `update hypervault.import_source
        set origin = $3
      where source_id = $1
        and origin is not distinct from $2`,
    [source.id.toString(), source.origin, origin],
  );
  return rowCount === 1;
}

/** Lets the shards be moved again that were held for a source; for one that is deleted that is so of itself. */
export async function letShardsGo(client: Queryable, source: SourceRow): Promise<void> {
  await client.query('update hypervault.import_source set held_shards = null where source_id = $1', [
    source.id.toString(),
  ]);
}

export async function deleteSource(client: Queryable, source: SourceRow): Promise<void> {
  await client.query('delete from hypervault.import_source where source_id = $1', [source.id.toString()]);
}
