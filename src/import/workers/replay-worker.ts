import { HypervaultError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { isOfTheTable, isPositionMoved } from '../apply/apply-errors.ts';
import type { ServerApplier } from '../apply/server-applier.ts';
import type { ImportLog } from '../log/import-log.ts';
import type { Position } from '../model/position.ts';
import type { Batch } from '../stream/batch.ts';
import { messageOf } from './message-of.ts';
import { together } from './together.ts';

/** Reading has to begin anew at the stored position: parts of an unfinished transaction are lost. */
export class ReadAgain extends Error {
  /** Whether the next try puts every table behind a savepoint. */
  readonly isolate: boolean;

  constructor(isolate: boolean) {
    super('reading begins anew at the stored position');
    this.isolate = isolate;
  }
}

export interface ReplayWorkerOptions {
  readonly name: string;
  readonly appliers: readonly ServerApplier[];
  /** Waits for the next batch. */
  readonly take: (signal: AbortSignal) => Promise<Batch>;
  readonly onErrorReplay: 'continue' | 'exit';
  /** Resolves when it may go on: after maintenance. */
  readonly whenAllowed: (signal: AbortSignal) => Promise<void>;
  /** All servers have a batch. */
  readonly onApplied: (batch: Batch, position: Position) => Promise<void>;
  /** Begin with every table behind a savepoint. */
  readonly isolate: boolean;
  readonly log: ImportLog;
}

/** SQLSTATEs of collisions that another try gets past. */
const COLLISIONS = new Set<string>([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  SQLSTATE.lockNotAvailable,
]);

/** Applies the queue's batches on all servers, and tries again by itself when one of them is away. */
export class ReplayWorker {
  readonly #options: ReplayWorkerOptions;
  #isolate: boolean;

  constructor(options: ReplayWorkerOptions) {
    this.#options = options;
    this.#isolate = options.isolate;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { appliers, take, whenAllowed, onApplied } = this.#options;
    while (!signal.aborted) {
      const batch = await take(signal).catch((error: unknown) => {
        if (signal.aborted) return null;
        throw error;
      });
      if (batch === null) return;
      if (batch.isReset) {
        await Promise.all(appliers.map((applier) => applier.reset()));
        continue;
      }
      await whenAllowed(signal);
      if (signal.aborted) return;
      await this.#everywhere(batch, signal);
      if (!batch.complete || batch.end === null) continue;
      this.#isolate = false;
      await onApplied(batch, batch.end);
    }
  }

  async #everywhere(batch: Batch, signal: AbortSignal): Promise<void> {
    await together(this.#options.appliers, signal, (applier, stop) => this.#on(applier, batch, stop));
  }

  async #on(applier: ServerApplier, batch: Batch, signal: AbortSignal): Promise<void> {
    const { onErrorReplay, log, name } = this.#options;
    const backoff = new Backoff({ baseMs: 100, maxMs: 5_000 });
    let isolate = this.#isolate;
    for (;;) {
      const wasInside = applier.isOpen && applier.isInsideTransaction;
      try {
        if (!applier.isOpen) await applier.open({ signal });
        await applier.apply(batch, { isolate });
        return;
      } catch (error) {
        await applier.reset();
        if (signal.aborted) return;
        if (isOfTheTable(error) && onErrorReplay === 'continue' && !isolate) {
          if (wasInside) throw new ReadAgain(true);
          isolate = true;
          continue;
        }
        // A killed process of ours may still have been committing when we took over
        if (isPositionMoved(error)) throw new ReadAgain(isolate);
        if (!isRetryable(error)) throw error;
        if (wasInside) throw new ReadAgain(isolate);
        const delay = backoff.next();
        log.warn(
          `${name}: applying on ${applier.server} stopped and begins again in ${Math.round(delay)} ms: ${messageOf(error)}`,
        );
        await sleep(delay, { signal, what: 'applying' }).catch(() => {});
        if (signal.aborted) return;
      }
    }
  }
}

function isRetryable(error: unknown): boolean {
  if (error instanceof HypervaultError) return error.retryable;
  const state = sqlStateOf(error);
  return isConnectionLoss(error) || (state !== undefined && (COLLISIONS.has(state) || state.startsWith('53')));
}
