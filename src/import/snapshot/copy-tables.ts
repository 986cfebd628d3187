import type { Client } from 'pg';
import { HypervaultError } from '../../errors.ts';
import { endClient } from '../../internal/client-guard.ts';
import { isConnectionLoss, sqlStateOf } from '../../internal/sqlstate.ts';
import { VALUE_SETTINGS } from '../apply/session-settings.ts';
import { listChunks } from '../catalogue/chunk-rows.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { setChunks } from '../catalogue/table-rows.ts';
import type { Position } from '../model/position.ts';
import type { TargetIndex } from '../model/target-table.ts';
import type { Destination } from '../route/router.ts';
import type { Snapshot, SnapshotReader } from '../source/snapshot.ts';
import { together } from '../workers/together.ts';
import { copyChunk } from './copy-chunk.ts';
import type { TableCopy } from './copy-job.ts';
import { finishTable, type Shortfall } from './finish-table.ts';
import type { ProgressMeter } from './progress.ts';

export interface CopyTablesOptions {
  readonly servers: Servers;
  readonly source: SourceRow;
  readonly snapshot: Snapshot;
  readonly copies: readonly TableCopy[];
  readonly meter: ProgressMeter;
  readonly maxMemoryBytes: number;
  /** No rows: only keys, indexes and checks. */
  readonly structureOnly: boolean;
  readonly control: <Result>(work: (client: Client) => Promise<Result>) => Promise<Result>;
  readonly schemaOf: (destination: Destination) => string;
  readonly onShortfall: (copy: TableCopy, shortfall: Shortfall) => Promise<void>;
  readonly onFailure: (copy: TableCopy, error: unknown) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A chunk is about this much data: small enough to be repeated after a crash, large enough not to cost by itself. */
const CHUNK_BYTES = 48 * 1024 * 1024;
const MAX_CHUNK_ROWS = 400_000;
const MIN_CHUNK_ROWS = 1_000;

/**
 * Copies tables with as many workers as the snapshot has sessions: each takes the next chunk, and the one that ends a
 * table's last chunk makes its indexes. Chunks that an earlier run finished are not read again.
 *
 * @returns the unique indexes that wait, by table id
 */
export async function copyTables(options: CopyTablesOptions): Promise<ReadonlyMap<number, readonly TargetIndex[]>> {
  const { snapshot, copies, servers, source } = options;
  const pending = new Map<number, readonly TargetIndex[]>();
  if (options.structureOnly) {
    await finishOnly(options, pending);
    return pending;
  }
  await loadDoneChunks(servers, source, copies);
  await planChunks(options);
  const covered = copies.filter(({ row }) => row.source.transactional);
  const queue: { copy: TableCopy; chunk: number | null }[] = [];
  for (const copy of [...covered].sort((a, b) => b.row.source.estimatedBytes - a.row.source.estimatedBytes)) {
    for (let chunk = 0; chunk < copy.chunkCount; chunk++) {
      if (copy.isDone(chunk)) continue;
      queue.push({ copy, chunk });
      copy.remaining += 1;
    }
    // Everything was copied by an earlier run that did not get to the indexes
    if (copy.remaining === 0) {
      queue.push({ copy, chunk: null });
      copy.remaining = 1;
    }
  }
  await together(snapshot.readers, options.signal, async (reader, signal) => {
    const worker = new Worker({ ...options, signal }, pending);
    try {
      for (let unit = queue.shift(); unit !== undefined; unit = queue.shift()) {
        await worker.run(unit.copy, unit.chunk, reader, snapshot.position);
      }
    } finally {
      await worker.close();
    }
  });
  await copyLocked(options, pending);
  return pending;
}

async function finishOnly(options: CopyTablesOptions, pending: Map<number, readonly TargetIndex[]>): Promise<void> {
  const worker = new Worker(options, pending);
  const { position, readers } = options.snapshot;
  try {
    for (const copy of options.copies) {
      for (const server of copy.servers) copy.noteDone(server, { chunk: 0, position, rows: 0 });
      copy.remaining = 1;
      await worker.run(copy, null, readers[0]!, position);
    }
  } finally {
    await worker.close();
  }
}

async function loadDoneChunks(servers: Servers, source: SourceRow, copies: readonly TableCopy[]): Promise<void> {
  const ids = copies.map(({ row }) => row.id);
  const byId = new Map(copies.map((copy) => [copy.row.id, copy]));
  for (const server of new Set(copies.flatMap((copy) => copy.servers))) {
    const done = await servers.with(server, (client) => listChunks(client, source.key, ids));
    for (const chunk of done) byId.get(chunk.tableId)?.noteDone(server, chunk);
  }
}

async function planChunks({ snapshot, copies, maxMemoryBytes, control }: CopyTablesOptions): Promise<void> {
  const [reader] = snapshot.readers;
  for (const copy of copies) {
    if (copy.plan !== null) continue;
    const { estimatedRows, estimatedBytes } = copy.row.source;
    const rowBytes = Math.max(16, estimatedBytes / Math.max(1, estimatedRows));
    const wanted = Math.min(CHUNK_BYTES, maxMemoryBytes) / rowBytes;
    const chunkRows = Math.round(Math.min(MAX_CHUNK_ROWS, Math.max(MIN_CHUNK_ROWS, wanted)));
    copy.plan = await reader!.plan(copy.row, chunkRows);
    await control((client) => setChunks(client, copy.row.id, copy.plan!));
  }
}

/** Tables that no snapshot covers: one after the other, each locked against writing while it is read. */
async function copyLocked(options: CopyTablesOptions, pending: Map<number, readonly TargetIndex[]>): Promise<void> {
  const worker = new Worker(options, pending);
  try {
    for (const copy of options.copies) {
      if (copy.row.source.transactional) continue;
      copy.remaining = 1;
      if (copy.isDone(0)) await worker.run(copy, null, options.snapshot.readers[0]!, options.snapshot.position);
      else await options.snapshot.withLocked(copy.row, (reader, position) => worker.run(copy, 0, reader, position));
    }
  } finally {
    await worker.close();
  }
}

/** One line of work with its own sessions on the servers. */
class Worker {
  readonly #options: CopyTablesOptions;
  readonly #pending: Map<number, readonly TargetIndex[]>;
  readonly #clients = new Map<string, Client>();

  constructor(options: CopyTablesOptions, pending: Map<number, readonly TargetIndex[]>) {
    this.#options = options;
    this.#pending = pending;
  }

  /** Copies a chunk; `null` when there is only the end of the table to be done. */
  async run(copy: TableCopy, chunk: number | null, reader: SnapshotReader, position: Position): Promise<void> {
    if (copy.failure !== null) return;
    const { meter, signal, onFailure, maxMemoryBytes, schemaOf, source } = this.#options;
    try {
      const clients = await this.#clientsOf(copy);
      if (chunk !== null) {
        await copyChunk(copy, chunk, {
          reader,
          position,
          sourceKey: source.key,
          clients,
          bufferBytes: Math.min(maxMemoryBytes / 4, 16 * 1024 * 1024),
          schemaOf,
          signal,
          onRows: (rows) => meter.add(copy.name, rows),
        });
      }
      copy.remaining -= 1;
      if (copy.remaining === 0) await this.#finish(copy, clients);
    } catch (error) {
      if (!isOfTheTable(error)) throw error;
      copy.failure = error instanceof Error ? error.message : String(error);
      await onFailure(copy, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => endClient(client)));
  }

  async #finish(copy: TableCopy, clients: ReadonlyMap<string, Client>): Promise<void> {
    const { schemaOf, onShortfall, meter } = this.#options;
    const deferUnique = copy.copiedAt().ranges.length > 0;
    const { shortfalls, pending } = await finishTable(copy, clients, { schemaOf, deferUnique });
    this.#pending.set(copy.row.id, pending);
    for (const shortfall of shortfalls) await onShortfall(copy, shortfall);
    meter.tableDone(copy.name);
  }

  async #clientsOf(copy: TableCopy): Promise<ReadonlyMap<string, Client>> {
    const clients = new Map<string, Client>();
    for (const server of copy.servers) {
      let client = this.#clients.get(server);
      if (client === undefined) {
        client = await this.#options.servers.connect(server, { signal: this.#options.signal });
        await client.query(VALUE_SETTINGS);
        // A chunk that is lost in a crash of the server is lost with the note that it was done
        await client.query(`set synchronous_commit = off; set maintenance_work_mem = '256MB'`);
        this.#clients.set(server, client);
      }
      clients.set(server, client);
    }
    return clients;
  }
}

const OF_A_TABLE = new Set<string>(['UNREPRESENTABLE_VALUE', 'WIDE_ROWS', 'STRUCTURE_CHANGED']);

/** Whether an error is about one table's values or structure, and not about a connection or the whole run. */
function isOfTheTable(error: unknown): boolean {
  if (isConnectionLoss(error)) return false;
  if (error instanceof HypervaultError) return OF_A_TABLE.has(error.code);
  // 22: data, 23: integrity, 42: structure, 54: limits
  return /^(22|23|42|54)/.test(sqlStateOf(error) ?? '');
}
