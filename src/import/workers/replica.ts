import { AbortedError } from '../../errors.ts';
import { sleep } from '../../internal/sleep.ts';
import { ServerApplier, type TableFailure } from '../apply/server-applier.ts';
import { noteError, noteStatement } from '../catalogue/error-rows.ts';
import { noteLostView } from '../catalogue/lost-views.ts';
import { getSource, noteRead, type SourceRow } from '../catalogue/source-rows.ts';
import { deleteTable, listTables, setTableState, updateStructure } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName } from '../model/source-table.ts';
import { earliest } from '../snapshot/copy-job.ts';
import type { ChangeStream } from '../source/import-source.ts';
import type { Batch } from '../stream/batch.ts';
import { BatchQueue } from '../stream/batch-queue.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { FollowedTables } from '../stream/followed-tables.ts';
import type { ReaderEvents } from '../stream/reader-events.ts';
import { RowSink } from '../stream/row-sink.ts';
import { becomeConsistent } from './consistency.ts';
import { loadTables, serversOf } from './load-tables.ts';
import { messageOf } from './message-of.ts';
import { ReadWorker } from './read-worker.ts';
import { ReadAgain, ReplayWorker } from './replay-worker.ts';
import { statementHost, syncRemedy } from './statement-host.ts';
import { together } from './together.ts';

/** How often the workers tell the catalogue how far they are, and ask it whether they shall stop or pause. */
const REPORT_MS = 1_000;

/** What a replica tells while it runs. */
export interface ReplicaObserver {
  readonly onApplied?: ((batch: Batch) => void) | undefined;
}

/**
 * One source being replicated: a worker that reads and one that applies, with a queue between them.
 *
 * ```
 *   source's log ─▶ ReadWorker ─▶ BatchQueue ─▶ ReplayWorker ─▶ server, server, …
 *                       └──────── statements, tables set aside ──────▶ catalogue
 * ```
 */
export class Replica {
  readonly #context: EngineContext;
  readonly #config: SourceConfig;
  readonly #source: SourceRow;
  readonly #observer: ReplicaObserver;
  readonly #aside = new Set<number>();
  readonly #work = new Set<Promise<unknown>>();
  #paused = false;
  #caughtUp = false;
  #handedOver: Position | null = null;
  #handedOverTimeMs = 0;
  #stream: ChangeStream | null = null;
  #consistent: boolean;

  constructor(context: EngineContext, config: SourceConfig, source: SourceRow, observer: ReplicaObserver = {}) {
    this.#context = context;
    this.#config = config;
    this.#source = source;
    this.#observer = observer;
    this.#consistent = source.consistent;
  }

  /** Runs until the signal fires or the catalogue says stop. Rejects with what no new try can mend. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const reporter = this.#report(stop, both);
    try {
      for (let isolate = false; !both.aborted; ) {
        try {
          await this.#session(both, isolate);
        } catch (error) {
          if (!(error instanceof ReadAgain)) throw error;
          isolate = error.isolate;
        }
      }
    } finally {
      stop.abort();
      await reporter;
      await Promise.allSettled(this.#work);
    }
  }

  /** Reads and applies from the stored position on, until stopped. */
  async #session(signal: AbortSignal, isolate: boolean): Promise<void> {
    const context = this.#context;
    const config = this.#config;
    const appliers = await this.#openAppliers(signal);
    const queue = new BatchQueue();
    try {
      const start = earliest(appliers.map(({ position }) => position));
      const behind = appliers.find(({ position }) => position.ordinal === start.ordinal)!;
      const tables = new FollowedTables(await loadTables(context, config, this.#source, behind.server));
      const even = appliers.every(({ position }) => position.ordinal === start.ordinal);
      const applied = even ? undefined : new Map(appliers.map(({ server, position }) => [server, position.ordinal]));
      const postgis = await hasPostgis(context, behind.server);
      this.#handedOver = null;
      const reader = new ReadWorker({
        name: config.name,
        openSource: () => context.openSource(config),
        follow: (source) => ({
          tables,
          statements: statementHost(context, config, this.#source, source, { postgis, tables }),
          sink: new RowSink(applied),
          queue,
          events: this.#events(tables),
          maxRows: config.replayMaxRows,
          heartbeatMs: Math.max(200, config.sleepLoopMs),
        }),
        start,
        queue,
        tables,
        isAside: (id) => this.#aside.has(id),
        lastHandedOver: () => this.#handedOver,
        onStream: (stream) => {
          this.#stream = stream;
        },
        log: context.log,
      });
      const replay = new ReplayWorker({
        name: config.name,
        appliers,
        queue,
        onErrorReplay: config.onErrorReplay,
        isolate,
        whenAllowed: (until) => this.#whenAllowed(until),
        onApplied: (batch, position) => this.#onApplied(batch, position, appliers),
        log: context.log,
      });
      await together([reader, replay], signal, (worker, until) => worker.run(until));
    } finally {
      await Promise.all(appliers.map((applier) => applier.close()));
    }
  }

  async #openAppliers(signal: AbortSignal): Promise<ServerApplier[]> {
    const { servers } = this.#context;
    const appliers = serversOf(this.#context, this.#config).map(
      (server) =>
        new ServerApplier({
          servers,
          server,
          source: this.#source,
          aside: this.#aside,
          synchronous: this.#config.kind === 'pgsql',
          onLostView: (view, reason) =>
            this.#inBackground(this.#context.control((client) => noteLostView(client, view, reason))),
          onFailures: (failures) => this.#onFailures(failures),
        }),
    );
    try {
      for (const applier of appliers) await applier.open({ signal });
    } catch (error) {
      await Promise.all(appliers.map((applier) => applier.close()));
      throw error;
    }
    return appliers;
  }

  #events(tables: FollowedTables): ReaderEvents {
    return {
      setAside: (table, reason, details) => {
        this.#aside.add(table.id);
        tables.remove(table.source.schema, table.source.name);
        this.#inBackground(this.#noteAside(table, reason, { phase: 'read', ...details }));
      },
      statement: (entry) => {
        this.#context.log.debug(`${this.#config.name}: ${entry.outcome}: ${entry.sql.slice(0, 200)}`);
        this.#inBackground(this.#context.control((client) => noteStatement(client, this.#source, entry)));
      },
      caughtUp: () => {
        this.#caughtUp = true;
      },
      handedOver: (batch) => {
        tables.keep();
        this.#handedOver = batch.end;
        if (batch.sourceTimeMs > 0) this.#handedOverTimeMs = batch.sourceTimeMs;
      },
    };
  }

  /** Tables whose changes a server refused: noted before the rest is committed. */
  async #onFailures(failures: readonly TableFailure[]): Promise<void> {
    for (const { table, error } of failures) {
      if (this.#aside.has(table.id)) continue;
      const { where, detail } = error as { where?: string; detail?: string };
      await this.#noteAside(table, messageOf(error), { phase: 'replay', sql: detail ?? where });
      this.#aside.add(table.id);
    }
  }

  async #noteAside(
    table: FollowedTable,
    reason: string,
    details: {
      readonly phase: 'read' | 'replay';
      readonly sql?: string | undefined;
      readonly position?: string | undefined;
    },
  ): Promise<void> {
    const { log, notifier } = this.#context;
    const name = qualifiedName(table.source);
    const remedy = syncRemedy(table.source);
    log.error(`${this.#config.name}: ${name} was set aside: ${reason}`);
    notifier.notify({ level: 'error', source: this.#config.name, table: name, message: reason, remedy });
    await this.#context.control(async (client) => {
      await setTableState(client, table.id, 'aside', reason);
      await noteError(client, this.#source, { ...details, tableId: table.id, table: name, message: reason, remedy });
    });
  }

  async #onApplied(batch: Batch, position: Position, appliers: readonly ServerApplier[]): Promise<void> {
    const structures = batch.rounds.filter((round) => round.kind === 'structure');
    if (structures.length > 0) {
      await this.#context.control(async (client) => {
        for (const { before, after } of structures) {
          if (after !== null) await updateStructure(client, after);
          else if (before !== null) await deleteTable(client, before.id);
        }
      });
    }
    this.#stream?.confirm(position);
    if (!this.#consistent && position.ordinal >= (this.#source.highWater ?? 0n)) {
      await becomeConsistent(this.#context, this.#source, await this.#tables(), appliers, this.#config);
      this.#consistent = true;
    }
    this.#observer.onApplied?.(batch);
  }

  #tables(): ReturnType<typeof listTables> {
    return this.#context.control((client) => listTables(client, this.#source));
  }

  async #whenAllowed(signal: AbortSignal): Promise<void> {
    while (this.#paused && !signal.aborted) await sleep(100, { signal, what: 'maintenance' }).catch(() => {});
  }

  /** Tells the catalogue how far reading is, and looks whether somebody wants us to stop or pause. */
  async #report(stop: AbortController, signal: AbortSignal): Promise<void> {
    let told: Position | null = null;
    while (!signal.aborted) {
      const position = this.#handedOver;
      const news = position !== told ? position : null;
      const caughtUp = this.#caughtUp;
      this.#caughtUp = false;
      try {
        const row = await this.#context.control(async (client) => {
          await noteRead(client, this.#source, {
            position: news,
            sourceTimeMs: news === null ? 0 : this.#handedOverTimeMs,
            caughtUp,
          });
          return getSource(client, this.#source.name);
        });
        told = position;
        this.#paused = row.paused;
        if (row.stopRequested) stop.abort(new AbortedError('the replica', 'stop-replica'));
      } catch (error) {
        this.#context.log.warn(`${this.#config.name}: the catalogue could not be reached: ${messageOf(error)}`);
      }
      await sleep(REPORT_MS, { signal, what: 'reporting' }).catch(() => {});
    }
  }

  /** Notes that need not be waited for; what fails goes to the log. */
  #inBackground(work: Promise<unknown>): void {
    const done = work
      .catch((error: unknown) => this.#context.log.error(`${this.#config.name}: ${messageOf(error)}`))
      .finally(() => this.#work.delete(done));
    this.#work.add(done);
  }
}

export async function hasPostgis(context: EngineContext, server: string): Promise<boolean> {
  return context.servers.with(server, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      `select exists (select from pg_extension where extname = 'postgis') as there`,
    );
    return rows[0]!.there;
  });
}
