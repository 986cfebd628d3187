import { linkSignals } from '../../internal/link-signals.ts';
import { ServerApplier } from '../apply/server-applier.ts';
import { listPrepared } from '../catalogue/prepared-rows.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { givingNames, updateStructure } from '../catalogue/table-names.ts';
import { deleteTable, listTables } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Position } from '../model/position.ts';
import { earliest } from '../snapshot/copy-job.ts';
import type { ChangeStream } from '../source/import-source.ts';
import type { Batch } from '../stream/batch.ts';
import { BatchQueue } from '../stream/batch-queue.ts';
import { FollowedTables } from '../stream/followed-tables.ts';
import { RowSink } from '../stream/row-sink.ts';
import { becomeConsistent } from './consistency.ts';
import { loadTables, serversOf } from './load-tables.ts';
import { readWorkerOf } from './make-read-worker.ts';
import { hasPostgis } from './postgis.ts';
import { ReadAgain, ReplayWorker } from './replay-worker.ts';
import { ReplicaNotes } from './replica-notes.ts';
import { Reporter } from './reporter.ts';
import { forgetUnapplied } from './settle-structures.ts';
import { together } from './together.ts';
import { withoutForeignKeys } from './without-foreign-keys.ts';

/** What a replica tells while it runs. */
export interface ReplicaObserver {
  /** Called with each batch that all servers have. */
  readonly onApplied?: ((batch: Batch) => void) | undefined;
  /** Called with the place of the log that all servers have applied, at the beginning too. */
  readonly onPosition?: ((position: Position) => void) | undefined;
}

/** What the parts of a replica share. */
export interface ReplicaParts {
  readonly context: EngineContext;
  readonly config: SourceConfig;
  readonly source: SourceRow;
  readonly notes: ReplicaNotes;
  readonly reporter: Reporter;
  readonly observer: ReplicaObserver;
}

/** Runs workers until the signal fires or the catalogue says stop. */
export async function runReplica(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  observer: ReplicaObserver,
  signal: AbortSignal,
  session: (parts: ReplicaParts, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const notes = new ReplicaNotes(context, source);
  const reporter = new Reporter(context, config, source);
  const stop = new AbortController();
  using both = linkSignals([signal, stop.signal]);
  const reporting = reporter.run(stop, both.signal);
  try {
    await session({ context, config, source, notes, reporter, observer }, both.signal);
  } finally {
    stop.abort();
    await reporting;
    await notes.close();
  }
}

/**
 * One source being replicated in one process: a worker that reads and one that applies, with a queue between them.
 *
 * ```
 *   source's log ─▶ ReadWorker ─▶ BatchQueue ─▶ ReplayWorker ─▶ server, server, …
 *                       └──────── statements, tables set aside ──────▶ catalogue
 * ```
 */
export async function replicateDirectly(parts: ReplicaParts, signal: AbortSignal): Promise<void> {
  const { context, source } = parts;
  // Whatever two separate workers left between them is read again
  await forgetUnapplied(context, parts.config, source);
  await withoutForeignKeys(context, parts.config, source);
  await parts.notes.everyDependent();
  for (let isolate = false; !signal.aborted; ) {
    try {
      await directSession(parts, signal, isolate);
    } catch (error) {
      if (!(error instanceof ReadAgain)) throw error;
      isolate = error.isolate;
    }
  }
}

/** Reads and applies from the stored position on, until stopped. */
async function directSession(parts: ReplicaParts, signal: AbortSignal, isolate: boolean): Promise<void> {
  const { context, config, source, reporter, notes, observer } = parts;
  const appliers = await openAppliers(parts, signal);
  const queue = new BatchQueue();
  try {
    const start = earliest(appliers.map(({ position }) => position));
    const behind = appliers.find(({ position }) => position.ordinal === start.ordinal)!;
    const [known, postgis, prepared] = await Promise.all([
      loadTables(context, config, source, behind.server),
      hasPostgis(context, behind.server),
      context.servers.with(behind.server, (client) => listPrepared(client, source.key)),
    ]);
    const tables = new FollowedTables(known);
    const even = appliers.every(({ position }) => position.ordinal === start.ordinal);
    const applied = even ? undefined : new Map(appliers.map(({ server, position }) => [server, position.ordinal]));
    observer.onPosition?.(start);
    let stream: ChangeStream | null = null;
    const reader = readWorkerOf(parts, {
      queue,
      tables,
      start,
      sink: new RowSink(applied),
      postgis,
      prepared,
      onStream: (opened) => {
        stream = opened;
      },
    });
    const applying = new AppliedBatches(parts, appliers);
    const replay = new ReplayWorker({
      name: config.name,
      appliers,
      take: (until) => queue.take({ signal: until }),
      onErrorReplay: config.onErrorReplay,
      isolate,
      whenAllowed: async (until) => {
        await reporter.whenAllowed(until);
        await notes.settle(until);
      },
      onApplied: async (batch, position) => {
        stream?.confirm(position);
        await applying.note(batch, position);
      },
      log: context.log,
    });
    await together([reader, replay], signal, (worker, until) => worker.run(until));
  } finally {
    await Promise.all(appliers.map((applier) => applier.close()));
  }
}

/** Sessions on every server that takes rows, each at its stored position. */
export async function openAppliers(
  { context, config, source, notes }: ReplicaParts,
  signal: AbortSignal,
): Promise<ServerApplier[]> {
  const appliers = serversOf(context, config).map(
    (server) =>
      new ServerApplier({
        servers: context.servers,
        server,
        source,
        aside: notes.aside,
        // What is taken out of a log elsewhere must be safe here
        synchronous: config.kind === 'pgsql' || config.mode === 'log',
        onLostView: (view, reason) => notes.lostView(view, reason),
        onFailures: (failures) => notes.failures(failures),
      }),
  );
  const opened = await Promise.allSettled(appliers.map((applier) => applier.open({ signal })));
  const failed = opened.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return appliers;
  await Promise.all(appliers.map((applier) => applier.close()));
  throw failed.reason;
}

/** What is to be done after all servers have a batch. */
export class AppliedBatches {
  readonly #parts: ReplicaParts;
  readonly #appliers: readonly ServerApplier[];
  #consistent: boolean;

  readonly #structuresAreRead: boolean;

  /** @param structuresAreRead - the reading worker keeps the catalogue's structures, which are ahead of ours */
  constructor(parts: ReplicaParts, appliers: readonly ServerApplier[], { structuresAreRead = false } = {}) {
    this.#parts = parts;
    this.#appliers = appliers;
    this.#structuresAreRead = structuresAreRead;
    this.#consistent = parts.source.consistent;
  }

  async note(batch: Batch, position: Position): Promise<void> {
    const { context, config, source, observer } = this.#parts;
    const structures = batch.rounds.filter((round) => round.kind === 'structure');
    if (structures.length > 0) {
      await context.control((client) =>
        givingNames(client, source, async () => {
          for (const { before, after } of structures) {
            if (after === null) await deleteTable(client, before!.id);
            else if (!this.#structuresAreRead) await updateStructure(client, source, after);
          }
        }),
      );
    }
    await this.#parts.notes.structuresChanged(new Set(structures.flatMap(({ after }) => after?.id ?? [])));
    if (!this.#consistent && position.ordinal >= (source.highWater ?? 0n)) {
      const tables = await context.control((client) => listTables(client, source));
      await becomeConsistent(context, source, tables, this.#appliers, config);
      this.#consistent = true;
    }
    observer.onApplied?.(batch);
    observer.onPosition?.(position);
  }
}
