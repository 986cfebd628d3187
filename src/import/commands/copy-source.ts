import { AbortedError, HypervaultError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import { deleteChunks } from '../catalogue/chunk-rows.ts';
import { readCopyFrom, setCopyFrom } from '../catalogue/copy-from.ts';
import { noteError } from '../catalogue/error-rows.ts';
import { deleteLog } from '../catalogue/log-rows.ts';
import { readPosition } from '../catalogue/position-rows.ts';
import { type SourceRow, setConsistency } from '../catalogue/source-rows.ts';
import { setCopied, setTableState } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { loadingSchema } from '../mapping/names.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { TargetIndex } from '../model/target-table.ts';
import { earliest, latest, type TableCopy } from '../snapshot/copy-job.ts';
import { copyTables } from '../snapshot/copy-tables.ts';
import { prepareTarget } from '../snapshot/prepare-target.ts';
import { type CopyProgress, ProgressMeter } from '../snapshot/progress.ts';
import type { ImportSource } from '../source/import-source.ts';
import { serversOf } from '../workers/load-tables.ts';
import { messageOf } from '../workers/message-of.ts';
import { syncRemedy } from '../workers/statement-host.ts';
import type { EngineContext } from './context.ts';
import { registerCopies } from './register-copies.ts';
import type { Survey } from './survey.ts';
import { takePlaces } from './take-places.ts';

export interface CopySourceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** Goes on with what an interrupted run left; off, everything is copied anew. */
  readonly resume: boolean;
  /** Without rows (`copy-schema`). */
  readonly structureOnly?: boolean | undefined;
}

/** What was copied. */
export interface CopyResult {
  readonly tables: readonly { readonly table: string; readonly rows: number; readonly failure: string | null }[];
  /** Tables that cannot be mapped. */
  readonly leftOut: readonly { readonly table: string; readonly reason: string }[];
  readonly rows: number;
  readonly durationMs: number;
}

/** A copy of some tables of a source: the steps share what they know here. */
export class SourceCopy {
  readonly #context: EngineContext;
  readonly #config: SourceConfig;
  readonly #source: SourceRow;
  readonly #options: CopySourceOptions;
  /** Where the log stood when the copy began. */
  #begun: Position | undefined;

  constructor(context: EngineContext, config: SourceConfig, source: SourceRow, options: CopySourceOptions) {
    this.#context = context;
    this.#config = config;
    this.#source = source;
    this.#options = options;
  }

  /**
   * Copies the surveyed tables and puts them in their places.
   *
   * @param isPart - tables beside others that are followed already (`refresh-schema`, `sync-tables`): the stored
   *   position stays, and changes that the copied rows show are left out when they come by
   */
  async run(
    openSource: () => Promise<ImportSource>,
    survey: Survey,
    { isPart }: { isPart: boolean },
  ): Promise<CopyResult> {
    const startedAt = Date.now();
    // What was read and not applied is read again: it must not meet the new rows
    await this.#context.control((client) => deleteLog(client, this.#source));
    // Rows of different moments could violate the unique keys that kept tables have all the time
    const resume = this.#options.resume && !this.#config.keepExistingSchema;
    const { copies, keep } = await registerCopies(this.#context, this.#config, this.#source, survey, { resume });
    for (const server of this.#serversOf(copies)) {
      await this.#context.servers.with(server, async (client) => {
        const fresh = copies.filter(({ row }) => !keep.has(row.id)).map(({ row }) => row.id);
        await deleteChunks(client, this.#source.key, fresh);
        await prepareTarget(client, server, copies, { keep, fillfactors: this.#context.config.fillfactors });
      });
    }
    const pending = await this.#copyRows(openSource, copies, { isPart, goesOn: keep.size > 0 });
    const good = copies.filter(({ failure }) => failure === null);
    const start = earliest([this.#begun!, ...good.flatMap((copy) => copy.positions())]);
    const servers = isPart ? this.#serversOf(good) : serversOf(this.#context, this.#config);
    await takePlaces(this.#context, this.#config, this.#source, {
      copies: good,
      servers,
      start: isPart ? null : start,
    });
    await this.#finish(good, pending, isPart);
    return {
      tables: copies.map(({ name, rows, failure }) => ({ table: name, rows, failure })),
      leftOut: survey.leftOut.map(({ source, reason }) => ({ table: qualifiedName(source), reason })),
      rows: copies.reduce((sum, { rows }) => sum + rows, 0),
      durationMs: Date.now() - startedAt,
    };
  }

  /** Copies; a lost connection costs the chunk in hand, and the rest is copied as of a later moment. */
  async #copyRows(
    openSource: () => Promise<ImportSource>,
    copies: readonly TableCopy[],
    { isPart, goesOn }: { readonly isPart: boolean; readonly goesOn: boolean },
  ): Promise<ReadonlyMap<number, readonly TargetIndex[]>> {
    const { signal, onProgress = () => {} } = this.#options;
    const backoff = new Backoff({ baseMs: 500, maxMs: 15_000 });
    const estimatedRows = copies.reduce((sum, { row }) => sum + row.source.estimatedRows, 0);
    for (;;) {
      const source = await openSource();
      try {
        const workers = Math.min(this.#config.copyWorkers, Math.max(1, copies.length * 4));
        await source.prepare?.(
          copies.map(({ row }) => row),
          { exact: !isPart },
        );
        if (!isPart) await this.#begin(source, goesOn);
        const snapshot = await source.openSnapshot({
          workers,
          tables: copies.map(({ row }) => row.source),
          lockTimeoutMs: this.#config.lockTimeoutMs,
          signal,
        });
        this.#begun ??= snapshot.position;
        try {
          const rowsBefore = copies.reduce((sum, { rows }) => sum + rows, 0);
          return await copyTables({
            servers: this.#context.servers,
            source: this.#source,
            snapshot,
            copies,
            meter: new ProgressMeter({ tables: copies.length, estimatedRows, rowsBefore }, onProgress),
            maxMemoryBytes: this.#config.copyMaxMemoryBytes,
            structureOnly: this.#options.structureOnly ?? false,
            control: (work) => this.#context.control(work),
            schemaOf: ({ schema }) => loadingSchema(schema),
            onShortfall: (copy, { what, sql, message }) =>
              this.#note(
                copy,
                `${what} could not be made: ${message}`,
                sql,
                'make it by hand, or mend the rows and copy the table again',
              ),
            onFailure: (copy, error) => this.#onFailure(copy, error),
            signal,
          });
        } finally {
          await snapshot.release();
        }
      } catch (error) {
        if (error instanceof AbortedError || !(error instanceof HypervaultError) || !error.retryable) throw error;
        const delay = backoff.next();
        this.#context.log.warn(
          `${this.#config.name}: the copy stopped and goes on in ${Math.round(delay)} ms: ${messageOf(error)}`,
        );
        await sleep(delay, { signal, what: 'copying' });
      } finally {
        await source.close();
      }
    }
  }

  /** Finds where reading begins. A copy that goes on begins where the first of its runs did. */
  async #begin(source: ImportSource, goesOn: boolean): Promise<void> {
    if (this.#begun !== undefined || source.placeBeforeSnapshot === undefined) return;
    const { lockTimeoutMs: timeoutMs } = this.#config;
    const known = goesOn ? await this.#context.control((client) => readCopyFrom(client, this.#source)) : null;
    this.#begun = known ?? (await source.placeBeforeSnapshot({ timeoutMs, signal: this.#options.signal }));
    if (known === null) await this.#context.control((client) => setCopyFrom(client, this.#source, this.#begun!));
  }

  async #onFailure(copy: TableCopy, error: unknown): Promise<void> {
    const message = messageOf(error);
    const { where, detail } = error as { where?: string; detail?: string };
    const remedy = syncRemedy(copy.row.source);
    await this.#note(copy, message, detail ?? where ?? null, remedy);
    await this.#context.control((client) => setTableState(client, copy.row.id, 'aside', message));
    this.#context.notifier.notify({ level: 'error', source: this.#config.name, table: copy.name, message, remedy });
  }

  #note(copy: TableCopy, message: string, sql: string | null, remedy: string): Promise<void> {
    this.#context.log.error(`${this.#config.name}: ${copy.name}: ${message}`);
    return this.#context.control(async (client) => {
      await noteError(client, this.#source, {
        phase: 'copy',
        tableId: copy.row.id,
        table: copy.name,
        message,
        sql,
        remedy,
      });
    });
  }

  async #finish(
    copies: readonly TableCopy[],
    pending: ReadonlyMap<number, readonly TargetIndex[]>,
    isPart: boolean,
  ): Promise<void> {
    if (copies.length === 0) return;
    const last = latest(copies.flatMap((copy) => copy.positions()));
    const applied = isPart ? await this.#appliedPosition(copies) : earliest(copies.flatMap((copy) => copy.positions()));
    await this.#context.control(async (client) => {
      for (const copy of copies) await setCopied(client, copy.row.id, copy.copiedAt(), pending.get(copy.row.id) ?? []);
      await setConsistency(client, this.#source, last.ordinal, applied.ordinal >= last.ordinal);
    });
  }

  async #appliedPosition(copies: readonly TableCopy[]): Promise<Position> {
    const positions: Position[] = [];
    for (const server of this.#serversOf(copies)) {
      const row = await this.#context.servers.with(server, (client) => readPosition(client, this.#source.key));
      if (row !== null) positions.push(row.position);
    }
    return earliest(positions);
  }

  #serversOf(copies: readonly TableCopy[]): Set<string> {
    return new Set(copies.flatMap((copy) => copy.servers));
  }
}
