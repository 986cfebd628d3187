import type { Client } from 'pg';
import { type ConnectionSettings, schemaName } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { onServer } from '../owners.ts';
import type { RowKey } from './key-range.ts';
import { SESSION } from './row-statements.ts';
import type { LagPassed } from './settle-rows.ts';
import { TableCopy } from './table-pair.ts';
import { mismatchOf, readShapes } from './table-shape.ts';
import { type TableVerification, verifyTable } from './verify-table.ts';

/** Where a comparison stands: everything before is compared and settled. */
export interface VerifyPosition {
  readonly table: string;
  /** The last key compared, as texts; absent when the table was just begun. */
  readonly key?: RowKey | undefined;
}

/** How far a comparison has come. */
export interface VerifyProgress {
  readonly shardId: number;
  readonly table: string;
  /** Rows of this table compared so far. */
  readonly rows: bigint;
  /** Rows of the shard that were found to differ, or could not be settled. */
  readonly doubtful: number;
  /** Give it as `after` to go on from here. */
  readonly position: VerifyPosition;
}

/** How two copies of a shard are compared. */
export interface VerifyShardOptions {
  /** @default every table of the shard but those of {@link NOT_COMPARED} */
  readonly tables?: readonly string[] | undefined;
  /**
   * Resolves when the target has what the source had committed at the time of the call; see `slotsApplied`.
   * @default at once: right for copies that nobody writes to
   */
  readonly lagPassed?: LagPassed | undefined;
  /**
   * Holds a row that is written too often to be found at rest, one row at a time and no longer than a second, until the
   * lag has passed. Without it such rows are told as `unsettled`. @default false
   */
  readonly lockHotRows?: boolean | undefined;
  /** Rows summed in one statement. @default 10000 */
  readonly chunkRows?: number | undefined;
  /** A table with so many differences is compared no further. @default 1000 */
  readonly maxDifferences?: number | undefined;
  /** Goes on from here: tables are compared by name. @default from the beginning */
  readonly after?: VerifyPosition | undefined;
  /** Schemas of shards are this prefix and four digits. @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a comparison of two copies of a shard found. */
export interface ShardVerification {
  readonly shardId: number;
  /** Whether every row compared was proven the same. */
  readonly same: boolean;
  /** Rows of the source that were compared. */
  readonly rows: bigint;
  /** By name. */
  readonly tables: readonly TableVerification[];
}

/** What each server keeps of itself in a shard: it differs in a good copy too. */
export const NOT_COMPARED: readonly string[] = ['hv_ledger', 'hv_migrations', 'hv_owner'];

const KEYS = [
  'tables',
  'lagPassed',
  'lockHotRows',
  'chunkRows',
  'maxDifferences',
  'after',
  'schemaPrefix',
  'onProgress',
  'signal',
] satisfies (keyof VerifyShardOptions)[];

/**
 * Compares the copies of a shard on two servers, table by table, by count and hash of rows in chunks of the primary key,
 * both computed on the servers. Chunks that differ are looked at row by row after the lag has passed, so it is right
 * while the source is written to. Reads only,
 * but for the row locks of `lockHotRows`.
 *
 * @example
 * ```ts
 * const { same, tables } = await verifyShard(5, db1, db2, { lagPassed: slotsApplied(db1) });
 * ```
 * @throws ConfigurationError for a table that neither server has; AbortedError; what `lagPassed` throws
 */
export async function verifyShard(
  shardId: number,
  source: ConnectionSettings,
  target: ConnectionSettings,
  options: VerifyShardOptions = {},
): Promise<ShardVerification> {
  assertKnownKeys(options, KEYS, 'verifyShard');
  const { chunkRows = 10_000, maxDifferences = 1_000, schemaPrefix = 'shard', signal } = options;
  for (const [name, value] of Object.entries({ chunkRows, maxDifferences })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ConfigurationError(`verifyShard: ${name} must be a whole number of at least 1, not ${value}`);
    }
  }
  const work = { ...options, chunkRows, maxDifferences };
  const schema = schemaName(schemaPrefix, shardId);
  return onServer(
    source,
    (from) => onServer(target, (to) => compareSchemas(shardId, schema, from, to, work), signal),
    signal,
  );
}

async function compareSchemas(
  shardId: number,
  schema: string,
  from: Client,
  to: Client,
  options: VerifyShardOptions & { readonly chunkRows: number; readonly maxDifferences: number },
): Promise<ShardVerification> {
  const { after, onProgress, lagPassed = async () => {}, lockHotRows = false, ...rest } = options;
  await Promise.all([from.query(SESSION), to.query(SESSION)]);
  const [there, here] = await Promise.all([readShapes(from, schema), readShapes(to, schema)]);
  const all = [...new Set([...there.keys(), ...here.keys()])];
  for (const table of options.tables ?? []) {
    if (!all.includes(table))
      throw new ConfigurationError(`verifyShard: neither server has a table ${schema}.${table}`);
  }
  const wanted = (options.tables ?? all.filter((table) => !NOT_COMPARED.includes(table))).toSorted();
  const tables: TableVerification[] = [];
  for (const table of wanted.filter((name) => after === undefined || name >= after.table)) {
    const [left, right] = [there.get(table), here.get(table)];
    const problem = mismatchOf(left, right);
    if (problem !== undefined || left === undefined || right === undefined) {
      tables.push({ ...NOTHING, table, problem });
      continue;
    }
    const pair = { source: new TableCopy(from, schema, left), target: new TableCopy(to, schema, right) };
    const before = tables.reduce((sum, other) => sum + doubtfulOf(other), 0);
    const tell = (rows: bigint, doubtful: number, position: VerifyPosition): void =>
      onProgress?.({ shardId, table, rows, doubtful: before + doubtful, position });
    tell(0n, 0, { table, key: after?.table === table ? after.key : undefined });
    const found = await verifyTable(table, pair, {
      ...rest,
      lagPassed,
      lockHotRows,
      after: after?.table === table ? after.key : undefined,
      onSettled: ({ rows, doubtful, position }) => tell(rows, doubtful, { table, key: position }),
    });
    tables.push(found);
  }
  const rows = tables.reduce((sum, table) => sum + table.rows, 0n);
  return { shardId, same: tables.every(isSame), rows, tables };
}

const NOTHING = { rows: 0n, chunks: 0, rechecked: 0, differences: [], unsettled: [], complete: false } as const;

function doubtfulOf({ differences, unsettled, problem }: TableVerification): number {
  return differences.length + unsettled.length + (problem === undefined ? 0 : 1);
}

function isSame(table: TableVerification): boolean {
  return table.complete && doubtfulOf(table) === 0;
}
