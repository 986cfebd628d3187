import { isLocked } from '../catalogue/lock.ts';
import { type PositionRow, readPosition } from '../catalogue/position-rows.ts';
import { type Direction, getSource, listSources, type SourceRow, type SourceStatus } from '../catalogue/source-rows.ts';
import { listTables } from '../catalogue/table-rows.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { LogRetention } from '../source/import-source.ts';
import { backSource } from '../way-back/replicate-back.ts';
import { serversOf } from '../workers/load-tables.ts';
import type { EngineContext } from './context.ts';

/** How a source is. Lags are in ms; `null` while nothing is known. */
export interface SourceStatusReport {
  readonly id: bigint;
  readonly name: string;
  readonly type: 'mysql' | 'pgsql';
  readonly status: SourceStatus;
  /** Which way rows flow: `reverse` after the switch. */
  readonly direction: Direction;
  /** Why the status is error. */
  readonly reason: string | null;
  /** Whether the tables are consistent with each other. */
  readonly consistent: boolean;
  /** How far the reading worker is behind the source; an idle source shows none. */
  readonly readLagMs: number | null;
  readonly lastRead: Date | null;
  readonly readPosition: string | null;
  /** How far the applying worker is behind the source. */
  readonly replayLagMs: number | null;
  readonly lastReplay: Date | null;
  readonly replayPosition: string | null;
  /** Which worker the other one waits for. */
  readonly behind: 'read' | 'replay' | null;
}

/** The same, with what only one source's report has room for. */
export interface SourceDetails extends SourceStatusReport {
  readonly mappings: Readonly<Record<string, string>>;
  readonly tables: { readonly followed: number; readonly copying: number; readonly aside: number };
  readonly lastMaintenance: Date | null;
  readonly nextMaintenance: Date | null;
  readonly replayed: { readonly changes: bigint; readonly transactions: bigint; readonly statements: bigint };
  /** How much of its log the source (after the switch: a server of the target) keeps for us; `null` when it cannot tell. */
  readonly retained: LogRetention | null;
  /** Statements of the source that were not understood. */
  readonly unknownStatements: number;
  readonly setAside: readonly { readonly table: string; readonly reason: string | null }[];
  readonly altered: readonly { readonly table: string; readonly column: string; readonly occurrences: bigint }[];
  readonly lostViews: readonly { readonly view: string; readonly reason: string }[];
}

export async function showStatus(context: EngineContext): Promise<SourceStatusReport[]> {
  const sources = await context.control(listSources);
  return Promise.all(sources.map((source) => reportOf(context, source)));
}

export async function showSourceStatus(context: EngineContext, name: string): Promise<SourceDetails> {
  const source = await context.control((client) => getSource(client, name));
  const report = await reportOf(context, source);
  const rows = await context.control((client) => listTables(client, source));
  const count = (state: string): number => rows.filter((row) => row.state === state).length;
  const positions = await positionsOf(context, source);
  const sum = (pick: (row: PositionRow) => bigint): bigint => positions.reduce((total, row) => total + pick(row), 0n);
  const names = new Map(rows.map((row) => [row.id, qualifiedName(row.source)]));
  const every = context.config.sources.get(name)?.autoMaintenanceMs ?? null;
  return {
    ...report,
    mappings: source.mappings,
    tables: { followed: count('followed'), copying: count('copying'), aside: count('aside') },
    lastMaintenance: source.lastMaintenance,
    nextMaintenance: every === null ? null : new Date((source.lastMaintenance?.getTime() ?? Date.now()) + every),
    replayed: {
      changes: sum(({ changes }) => changes),
      transactions: positions.reduce((most, { transactions }) => (transactions > most ? transactions : most), 0n),
      statements: positions.reduce((most, { statements }) => (statements > most ? statements : most), 0n),
    },
    retained: await retentionOf(context, source),
    unknownStatements: await unknownStatements(context, source),
    setAside: rows
      .filter(({ state }) => state === 'aside')
      .map((row) => ({ table: qualifiedName(row.source), reason: row.reason })),
    altered: await alteredValues(context, source, names),
    lostViews: await lostViews(context),
  };
}

async function reportOf(context: EngineContext, source: SourceRow): Promise<SourceStatusReport> {
  const positions = await positionsOf(context, source);
  const slowest = positions.reduce<PositionRow | null>(
    (least, row) => (least === null || row.position.ordinal < least.position.ordinal ? row : least),
    null,
  );
  const running = await context.control((client) => isLocked(client, source));
  const readLagMs = lagOf(source.heardAt, source.readSourceTime);
  const isBehind = slowest !== null && source.readOrdinal !== null && slowest.position.ordinal < source.readOrdinal;
  const replayLagMs = isBehind ? lagOf(null, slowest.sourceTime) : readLagMs;
  return {
    id: source.id,
    name: source.name,
    type: source.kind,
    // What the column says may be left over from a process that was killed
    status: source.status === 'running' && !running ? 'stopped' : source.status,
    direction: source.direction,
    reason: source.reason,
    consistent: source.consistent,
    readLagMs,
    lastRead: source.readAt,
    readPosition: source.readPosition,
    replayLagMs,
    lastReplay: slowest?.applied ?? null,
    replayPosition: slowest?.position.text ?? null,
    behind: isBehind ? 'replay' : readLagMs !== null && readLagMs > 5_000 ? 'read' : null,
  };
}

/** Since the source was last known to have nothing more, or since its newest change: whichever is later. */
function lagOf(heardAt: Date | null, sourceTime: Date | null): number | null {
  const latest = Math.max(heardAt?.getTime() ?? 0, sourceTime?.getTime() ?? 0);
  return latest === 0 ? null : Math.max(0, Date.now() - latest);
}

async function positionsOf(context: EngineContext, source: SourceRow): Promise<PositionRow[]> {
  const config = context.config.sources.get(source.name);
  const servers = config === undefined ? [context.servers.control] : serversOf(context, config);
  const rows = await Promise.all(
    servers.map((server) => context.servers.with(server, (client) => readPosition(client, source.key))),
  );
  return rows.filter((row) => row !== null);
}

/** The most that any server keeps. A source that is away tells nothing. */
async function retentionOf(context: EngineContext, source: SourceRow): Promise<LogRetention | null> {
  const config = context.config.sources.get(source.name);
  if (config?.kind !== 'pgsql') return null;
  try {
    const readers =
      source.direction === 'reverse'
        ? serversOf(context, config).map((server) => backSource({ context, config }, server))
        : [await context.openSource(config)];
    const kept = await Promise.all(
      readers.map(async (reader) => (await reader.retention?.().finally(() => reader.close())) ?? null),
    );
    return kept.reduce((most, one) => (one !== null && (most === null || one.bytes > most.bytes) ? one : most), null);
  } catch {
    return null;
  }
}

async function unknownStatements(context: EngineContext, source: SourceRow): Promise<number> {
  return context.control(async (client) => {
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from hypervault.import_statement where source_id = $1 and outcome = 'unknown'`,
      [source.id.toString()],
    );
    return rows[0]!.n;
  });
}

async function alteredValues(
  context: EngineContext,
  source: SourceRow,
  names: ReadonlyMap<number, string>,
): Promise<SourceDetails['altered']> {
  const config = context.config.sources.get(source.name);
  const servers = config === undefined ? [context.servers.control] : serversOf(context, config);
  const totals = new Map<string, { table: string; column: string; occurrences: bigint }>();
  for (const server of servers) {
    const rows = await context.servers.with(server, async (client) => {
      const result = await client.query<{ table_id: string; column_name: string; occurrences: string }>(
        'select table_id::text, column_name, occurrences::text from hypervault.import_altered_column where source = $1 order by 1, 2',
        [source.key],
      );
      return result.rows;
    });
    for (const { table_id, column_name, occurrences } of rows) {
      const table = names.get(Number(table_id)) ?? table_id;
      const key = `${table}.${column_name}`;
      const before = totals.get(key)?.occurrences ?? 0n;
      totals.set(key, { table, column: column_name, occurrences: before + BigInt(occurrences) });
    }
  }
  return [...totals.values()];
}

async function lostViews(context: EngineContext): Promise<SourceDetails['lostViews']> {
  return context.control(async (client) => {
    const { rows } = await client.query<{ view: string; reason: string }>(
      `select schema_name || '.' || view_name as view, reason from hypervault.import_lost_view order by 1`,
    );
    return rows;
  });
}
