import { AbortedError } from '../../errors.ts';
import { sleep } from '../../internal/sleep.ts';
import { getSource, noteRead, type SourceRow } from '../catalogue/source-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import { runMaintenance } from '../commands/run-maintenance.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Position } from '../model/position.ts';
import type { Batch } from '../stream/batch.ts';
import { messageOf } from './message-of.ts';

/** How often the workers tell the catalogue how far they are, and ask it whether they shall stop or pause. */
const REPORT_MS = 1_000;

/** Between the workers and the catalogue: tells how far reading is, hears whether somebody wants a stop or a pause. */
export class Reporter {
  readonly #context: EngineContext;
  readonly #config: SourceConfig;
  readonly #source: SourceRow;
  #position: Position | null = null;
  #sourceTimeMs = 0;
  #caughtUp = false;
  #paused = false;
  #maintenance: Promise<unknown> | undefined;

  constructor(context: EngineContext, config: SourceConfig, source: SourceRow) {
    this.#context = context;
    this.#config = config;
    this.#source = source;
  }

  /** The reader stands at the end of the source's log. */
  caughtUp(): void {
    this.#caughtUp = true;
  }

  handedOver(batch: Batch): void {
    this.#position = batch.end;
    if (batch.sourceTimeMs > 0) this.#sourceTimeMs = batch.sourceTimeMs;
  }

  /** Resolves when no maintenance is going on. */
  async whenAllowed(signal: AbortSignal): Promise<void> {
    while (this.#paused && !signal.aborted) await sleep(100, { signal, what: 'maintenance' }).catch(() => {});
  }

  /** Runs until the signal fires; aborts `stop` when somebody asked for it. */
  async run(stop: AbortController, signal: AbortSignal): Promise<void> {
    let told: Position | null = null;
    while (!signal.aborted) {
      const position = this.#position;
      const news = position === told ? null : position;
      const caughtUp = this.#caughtUp;
      this.#caughtUp = false;
      try {
        const row = await this.#context.control(async (client) => {
          await noteRead(client, this.#source, {
            position: news,
            sourceTimeMs: news === null ? 0 : this.#sourceTimeMs,
            caughtUp,
          });
          return getSource(client, this.#source.name);
        });
        told = position;
        this.#paused = row.paused;
        if (row.stopRequested) stop.abort(new AbortedError('the replica', 'stop-replica'));
        this.#maintain(row);
      } catch (error) {
        this.#context.log.warn(`${this.#config.name}: the catalogue could not be reached: ${messageOf(error)}`);
      }
      await sleep(REPORT_MS, { signal, what: 'reporting' }).catch(() => {});
    }
    await this.#maintenance;
  }

  /** `auto_maintenance`: due when so much time has passed since the last one, or since the source was added. */
  #maintain(row: SourceRow): void {
    const every = this.#config.autoMaintenanceMs;
    if (every === null || this.#maintenance !== undefined) return;
    if (Date.now() - (row.lastMaintenance ?? row.added).getTime() < every) return;
    this.#maintenance = runMaintenance(this.#context, this.#config.name)
      .catch((error: unknown) =>
        this.#context.log.warn(`${this.#config.name}: maintenance failed: ${messageOf(error)}`),
      )
      .finally(() => {
        this.#maintenance = undefined;
      });
  }
}
