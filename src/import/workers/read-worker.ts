import { HypervaultError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import type { ImportLog } from '../log/import-log.ts';
import type { Position } from '../model/position.ts';
import type { ChangeStream, FollowOptions, ImportSource } from '../source/import-source.ts';
import { Batch } from '../stream/batch.ts';
import type { BatchQueue } from '../stream/batch-queue.ts';
import type { FollowedTables } from '../stream/followed-tables.ts';
import type { PreparedTransactions } from '../stream/prepared-transactions.ts';
import { messageOf } from './message-of.ts';

export interface ReadWorkerOptions {
  readonly name: string;
  readonly openSource: () => Promise<ImportSource>;
  readonly follow: (source: ImportSource, start: Position) => Omit<FollowOptions, 'start' | 'signal'>;
  readonly start: Position;
  readonly queue: BatchQueue;
  readonly tables: FollowedTables;
  readonly prepared?: PreparedTransactions | undefined;
  readonly isAside: (tableId: number) => boolean;
  /** End of the batch handed over last. */
  readonly lastHandedOver: () => Position | null;
  readonly onStream: (stream: ChangeStream | null) => void;
  readonly log: ImportLog;
}

/**
 * Reads the source's log into the queue, and begins again by itself – where the last batch it handed over ends –
 * when the connection is lost. Ends with errors that no new try can mend.
 */
export class ReadWorker {
  readonly #options: ReadWorkerOptions;
  #restarts = 0;

  constructor(options: ReadWorkerOptions) {
    this.#options = options;
  }

  /** How often the connection was lost. */
  get restarts(): number {
    return this.#restarts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ baseMs: 200, maxMs: 10_000 });
    const { log, name, queue, tables, prepared, isAside } = this.#options;
    tables.keep();
    for (;;) {
      try {
        await this.#read(signal, () => backoff.reset());
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof HypervaultError) || !error.retryable) throw error;
        this.#restarts += 1;
        const delay = backoff.next();
        log.warn(`${name}: reading stopped and begins again in ${Math.round(delay)} ms: ${messageOf(error)}`);
        const reset = new Batch(16);
        reset.isReset = true;
        queue.push(reset);
        tables.restore(isAside);
        prepared?.restore();
        await sleep(delay, { signal, what: 'reading' }).catch(() => {});
        if (signal.aborted) return;
      }
    }
  }

  async #read(signal: AbortSignal, onReading: () => void): Promise<void> {
    const { openSource, follow, start, lastHandedOver, onStream } = this.#options;
    const source = await openSource();
    try {
      const from = lastHandedOver() ?? start;
      const stream = await source.follow({ ...follow(source, from), start: from, signal });
      onReading();
      onStream(stream);
      const onAbort = (): void => {
        stream.stop().catch(() => {});
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        await stream.ended;
      } finally {
        signal.removeEventListener('abort', onAbort);
        onStream(null);
        await stream.stop();
      }
    } finally {
      await source.close();
    }
  }
}
