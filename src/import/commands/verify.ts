import { TimeoutError } from '../../errors.ts';
import { getSource } from '../catalogue/source-rows.ts';
import { listTables, type TableRow } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { ReplicaStateError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { type CopyProgress, ProgressMeter } from '../snapshot/progress.ts';
import type { ImportSource } from '../source/import-source.ts';
import { passBack, passStream } from '../verify/pass-stream.ts';
import { loadedSide, postgresSide } from '../verify/source-side.ts';
import { TargetSessions, targetSides } from '../verify/target-side.ts';
import { type TableComparison, verifyTable } from '../verify/verify-table.ts';
import { routerOf, skippedEvents } from '../workers/load-tables.ts';
import { messageOf } from '../workers/message-of.ts';
import { type EngineContext, sourceConfig } from './context.ts';
import { unspokenChanges } from './unspoken-changes.ts';
import { isWanted } from './wanted.ts';

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only these, named `schema.table`. @default all */
  readonly tables?: readonly string[] | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** How many differing rows of a table are listed. @default 100 */
  readonly maxDifferences?: number | undefined;
  /** How long the target may take to reach a place of the source's log. @default 60000 */
  readonly timeoutMs?: number | undefined;
}

/** What was found of one table. */
export interface VerifiedTable extends TableComparison {
  readonly table: string;
  /**
   * `equal`; `different`; `undecided`: rows change so fast that nothing can be said of them; `failed`: it could not be
   * compared; `aside`: it is not followed; `missing`: the source has it and we do not; `filtered`: skip_events leaves
   * changes out, so that it differs on purpose.
   */
  readonly state: 'equal' | 'different' | 'undecided' | 'failed' | 'aside' | 'missing' | 'filtered';
  readonly reason: string | null;
}

export interface VerifyResult {
  /** Whether every table that was looked at is equal. */
  readonly equal: boolean;
  readonly tables: readonly VerifiedTable[];
  readonly rows: bigint;
  readonly durationMs: number;
}

const NOTHING_FOUND: TableComparison = { rows: 0n, differences: [], moreDifferences: 0, undecided: 0, misplaced: [] };

/**
 * Compares source and target row by row, by checksums of chunks. Right also while both are written to: what differs is
 * looked at again after the stream has passed. While no replica runs it replicates itself where that is needed.
 */
export async function verify(context: EngineContext, name: string, options: VerifyOptions = {}): Promise<VerifyResult> {
  const startedAt = Date.now();
  const { signal, maxDifferences = 100, onProgress = () => {} } = options;
  const config = sourceConfig(context, name);
  const row = await context.control((client) => getSource(client, name));
  if (row.status === 'ready' || row.status === 'initialising') {
    throw new ReplicaStateError(`the source ${name} is ${row.status}; run init-replica first`);
  }
  const source = await context.openSource(config);
  const sessions = new TargetSessions(context);
  const leads = row.direction === 'reverse' || row.direction === 'finishing' ? 'target' : 'source';
  const passed = (): Promise<void> =>
    leads === 'source' ? passStream(context, config, row, source, options) : passBack(context, config, row, options);
  const tables: VerifiedTable[] = [];
  try {
    const unspoken =
      leads === 'source' ? await unspokenChanges(context, config, row, source, passed) : new Map<string, string>();
    const known = await context.control((client) => listTables(client, row));
    const chosen = chooseTables(name, known, options.tables);
    const estimatedRows = chosen.reduce((sum, table) => sum + table.source.estimatedRows, 0);
    const meter = new ProgressMeter({ tables: chosen.length, estimatedRows, rowsBefore: 0 }, onProgress);
    for (const table of chosen) {
      signal?.throwIfAborted();
      const reason = unspoken.get(qualifiedName(table.source));
      if (reason !== undefined) {
        tables.push({ table: qualifiedName(table.source), state: 'different', reason, ...NOTHING_FOUND });
        continue;
      }
      tables.push(
        await verifyOne(context, config, source, sessions, table, { maxDifferences, leads, passed, meter, signal }),
      );
      meter.tableDone(qualifiedName(table.source));
    }
    if (options.tables === undefined) tables.push(...(await missingTables(config, source, known)));
  } finally {
    await sessions.close();
    await source.close();
  }
  return {
    equal: tables.every(({ state }) => state === 'equal' || state === 'filtered'),
    tables,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0n),
    durationMs: Date.now() - startedAt,
  };
}

function chooseTables(source: string, known: readonly TableRow[], wanted: readonly string[] | undefined): TableRow[] {
  if (wanted === undefined) return known.filter(({ state }) => state !== 'dropped');
  return wanted.map((name) => {
    const table = known.find((candidate) => qualifiedName(candidate.source) === name);
    if (table !== undefined) return table;
    throw new ReplicaStateError(`the source ${source} has no table ${name} that is replicated`);
  });
}

async function verifyOne(
  context: EngineContext,
  config: SourceConfig,
  source: ImportSource,
  sessions: TargetSessions,
  table: TableRow,
  { maxDifferences, leads, passed, meter, signal }: VerifyParts,
): Promise<VerifiedTable> {
  const name = qualifiedName(table.source);
  const result = (state: VerifiedTable['state'], reason: string | null, found = NOTHING_FOUND): VerifiedTable => ({
    table: name,
    state,
    reason,
    ...found,
  });
  if (table.state !== 'followed') return result('aside', table.reason ?? `it is ${table.state}`);
  if (skippedEvents(config, table.source).size > 0) return result('filtered', 'skip_events leaves changes of it out');
  const router = routerOf(context, config, table);
  const targets = targetSides(sessions, table, router);
  try {
    const side =
      source.connect === undefined
        ? await loadedSide(context, source, table, router.destinations[0]!)
        : await postgresSide(source, table);
    try {
      const onRows = (rows: number): void => meter.add(name, rows);
      const found = await verifyTable(table, {
        source: side,
        targets,
        router,
        maxDifferences,
        leads,
        passed,
        onRows,
        signal,
      });
      if (found.differences.length + found.misplaced.length > 0) return result('different', null, found);
      return found.undecided > 0
        ? result('undecided', `${found.undecided} rows changed each time they were looked at`, found)
        : result('equal', null, found);
    } finally {
      await side.close();
    }
  } catch (error) {
    if (signal?.aborted || error instanceof TimeoutError) throw error;
    return result('failed', messageOf(error));
  }
}

interface VerifyParts {
  readonly maxDifferences: number;
  readonly leads: 'source' | 'target';
  readonly passed: () => Promise<void>;
  readonly meter: ProgressMeter;
  readonly signal: AbortSignal | undefined;
}

/** Tables of the source that nobody has copied. */
async function missingTables(
  config: SourceConfig,
  source: ImportSource,
  known: readonly TableRow[],
): Promise<VerifiedTable[]> {
  const names = new Set(known.map((table) => qualifiedName(table.source)));
  const found = await source.readTables(Object.keys(config.schemaMappings));
  return found
    .filter((table) => isWanted(config, table) && !names.has(qualifiedName(table)))
    .map((table) => ({
      table: qualifiedName(table),
      state: 'missing',
      reason: `it was made after the copy: hypervault import sync-tables --tables ${qualifiedName(table)}`,
      ...NOTHING_FOUND,
    }));
}
