import { HypervaultError, InvalidArgumentError, OutcomeUnknownError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import type { Commit } from '../commit.ts';
import { commitOfRow, valuesOf } from '../commit-rows.ts';
import { conflictOf } from '../conflict.ts';
import type { KvDatabase } from '../kv-database.ts';
import { type PostgresKvOptions, resolveKvOptions } from '../options.ts';
import { type CommitRow, STATEMENTS } from '../statements.ts';
import { inVersionOrder } from './in-version-order.ts';

/** How far an import has come, or what it did. */
export interface ImportProgress {
  /** Commits taken from the source. */
  readonly read: number;
  /** Of those, written now; in a dry run, that would be. */
  readonly saved: number;
  /** Of those, there already, and the same. */
  readonly present: number;
}

export interface ImportCommitsOptions extends Omit<PostgresKvOptions<Buffer>, 'codec'> {
  /** Takes a history that begins later than with version 1, or has holes, as compaction leaves it. @default false */
  readonly allowGaps?: boolean | undefined;
  /** Reads and compares everything and writes nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** Told after each batch. */
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A batch is one transaction: other writers of the namespace wait for it. */
const MAX_BATCH = 500;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;

/**
 * Brings whole histories into a namespace: versions, payloads, authors, comments and times stay what they were; only
 * the revisions are new. Batch by batch, each in a transaction of its own. May be stopped and run again: what is there
 * already is compared with what comes, byte by byte, and passed over; so it can also follow a source that is still in
 * use until that is stopped.
 *
 * @example
 * ```ts
 * await importCommits(readRainerTable({ url: 'mysql://app@db1/config', table: 'rainer' }), { connection, table: 'diary' });
 * ```
 * @throws InvalidArgumentError when a version is there with other content, CommitFormatError for what is no commit or
 *   leaves gaps, CommitOrderingError when somebody else writes the same keys
 */
export async function importCommits(
  source: AsyncIterable<Commit>,
  { allowGaps = false, dryRun = false, onProgress, signal, ...options }: ImportCommitsOptions,
): Promise<ImportProgress> {
  const { database, ownsDatabase, namespace, install } = resolveKvOptions<Buffer>(options, 'importCommits');
  try {
    if (install && !dryRun) await database.install({ signal });
    const newest = await newestVersions(database, namespace, signal);
    const counts = { read: 0, saved: 0, present: 0 };
    for await (const batch of batches(inVersionOrder(source, { newest, allowGaps }))) {
      const fresh = await withoutPresent(database, namespace, batch, newest, signal);
      if (fresh.length > 0 && !dryRun) {
        await save(database, namespace, fresh, allowGaps, signal);
      }
      for (const { key, version } of fresh) newest.set(key, version);
      counts.read += batch.length;
      counts.saved += fresh.length;
      counts.present += batch.length - fresh.length;
      onProgress?.({ ...counts });
    }
    return counts;
  } finally {
    if (ownsDatabase) await database.close();
  }
}

async function* batches(commits: AsyncIterable<Commit>): AsyncGenerator<Commit[]> {
  let batch: Commit[] = [];
  let bytes = 0;
  for await (const commit of commits) {
    const size = commit.payload?.length ?? 0;
    if (batch.length === MAX_BATCH || (batch.length > 0 && bytes + size > MAX_BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(commit);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Writes a batch; after a lost session looks which of it is there, and writes the rest. */
async function save(
  database: KvDatabase,
  namespace: string,
  batch: readonly Commit[],
  allowGaps: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + database.waitTimeoutMs;
  const backoff = new Backoff({ baseMs: 25, maxMs: 500 });
  for (let left = batch; left.length > 0; ) {
    try {
      if (backoff.failures > 0) left = await withoutPresent(database, namespace, batch, undefined, signal);
      if (left.length === 0) return;
      const columns = left.map(valuesOf);
      const values = [namespace, ...[0, 1, 2, 3, 4, 5].map((at) => columns.map((row) => row[at])), allowGaps];
      await database.query(STATEMENTS.import, values, { signal, writes: true });
      return;
    } catch (error) {
      const passes = error instanceof OutcomeUnknownError || (error instanceof HypervaultError && error.retryable);
      if (!passes || performance.now() > deadline) throw conflictOf(error, left);
      await sleep(backoff.next(), { signal, what: 'importing' });
    }
  }
}

/**
 * The commits of a batch that are not there yet. @param newest spares the question where it is clear
 * @throws InvalidArgumentError for one that is there and differs
 */
async function withoutPresent(
  database: KvDatabase,
  namespace: string,
  batch: readonly Commit[],
  newest: ReadonlyMap<string, number> | undefined,
  signal: AbortSignal | undefined,
): Promise<Commit[]> {
  const doubtful = batch.filter(({ key, version }) => newest === undefined || version <= (newest.get(key) ?? 0));
  if (doubtful.length === 0) return [...batch];
  const values = [namespace, doubtful.map(({ key }) => key), doubtful.map(({ version }) => version)];
  const rows = await database.query<CommitRow>(STATEMENTS.present, values, { signal });
  const present = new Map(rows.map((row) => [nameOf(row), commitOfRow<Buffer>(row, undefined)]));
  return batch.filter((commit) => {
    const there = present.get(nameOf(commit));
    if (there === undefined) {
      // Below the newest and not there: compacted here. It can't come back.
      return newest === undefined || commit.version > (newest.get(commit.key) ?? 0);
    }
    if (there.equals(commit)) return false;
    throw new InvalidArgumentError(
      `version ${commit.version} of ${commit.key} is there already and differs from the source: ` +
        `${there} is not ${commit}; import into another table`,
    );
  });
}

function nameOf({ key, version }: { readonly key: string; readonly version: number }): string {
  return `${version}/${key}`;
}

async function newestVersions(
  database: KvDatabase,
  namespace: string,
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const rows = await database.query<{ key: string; version: number }>(STATEMENTS.newestVersions, [namespace], {
    signal,
  });
  return new Map(rows.map(({ key, version }) => [key, version]));
}
