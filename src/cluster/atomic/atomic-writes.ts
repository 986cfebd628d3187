import type { Cursor, Datastore } from '../../core/index.ts';
import { ClosedError, InvalidArgumentError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, SV, sqlStateOf } from '../../internal/sqlstate.ts';
import { AtomicWriteUndoneError } from '../errors.ts';
import { type AtomicWork, Attempt } from './attempt.ts';
import { type AtomicOptions, type ResolvedAtomicOptions, resolveAtomicOptions } from './options.ts';
import { assertReady } from './ready.ts';
import { type InDoubt, recover } from './recover.ts';
import { sweep } from './sweep.ts';

export type { AtomicOptions, AtomicStep } from './options.ts';

/** How one atomic write is made. */
export interface AtomicWriteOptions {
  readonly signal?: AbortSignal | undefined;
}

const MAX_SHARDS = 16;

/** After these nothing happened anywhere, and another try may go well. */
const AGAIN = new Set<string | undefined>([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  SQLSTATE.lockNotAvailable,
  SV.shardOnTheMove,
]);
/** After these as well, when the map has grown. */
const MOVED = new Set<string | undefined>([
  SV.shardMoved,
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedFunction,
  SQLSTATE.invalidSchemaName,
  SQLSTATE.insufficientPrivilege,
]);

/**
 * Writes to several shards that happen on all of them or on none, by two-phase commit:
 *
 * ```
 *  shard A (coordinator)   begin ··········· decision row ·························· COMMIT ─────────────── forget
 *  shard B                       begin ···················· work ········· PREPARE ··┆··· COMMIT PREPARED
 *  shard C                             begin ·············· work · PREPARE ··········┆··· COMMIT PREPARED
 *                          └──────── a crash here: none of it ───────────────────────┴── here: all of it ──┘
 * ```
 *
 * 1. The decision row is written before any part is prepared, and seen from the coordinator's commit on. So a part whose
 *    decision is neither committed nor in an open transaction may be rolled back, and by anybody.
 * 2. The decision row goes after the last part has ended.
 * 3. As long as a part is open or prepared its shard has a writer by the move's own rules: no move hands it over.
 *
 * @see docs/atomic-writes.md for what it costs, what it does not promise, and what a server needs
 */
export class AtomicWrites {
  readonly #db: Datastore;
  readonly #options: ResolvedAtomicOptions;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  /** Never rejects. One at a time: they would only find the same. */
  #recovering: Promise<void> | undefined;
  /** Clients are lent to one write after the other: two that hold half of theirs would wait for each other. */
  #lending: Promise<unknown> = Promise.resolve();

  /** @internal use {@link atomicWrites} */
  constructor(db: Datastore, options: ResolvedAtomicOptions) {
    this.#db = db;
    this.#options = options;
    if (options.recoverEveryMs > 0) {
      const look = (): void => {
        if (this.#recovering === undefined) this.recover().catch(() => {});
      };
      this.#timer = setInterval(look, options.recoverEveryMs).unref();
    }
  }

  /**
   * Runs `fn` with a cursor for each shard, each inside a transaction; what it wrote is kept on all shards when it
   * returns, and on none when it throws. It may be run again, so it must do nothing outside the database that can't be
   * done twice, must not end a transaction itself, and only the first shard may NOTIFY.
   *
   * @param shards - 2 to 16, each once; the first one coordinates, best the one that is written to most
   * @returns what `fn` returns, once it is decided: a server that is away meanwhile has its part when it is back
   * @throws what `fn` throws; OutcomeUnknownError when the coordinator was lost while deciding: recovery will tell;
   *   AtomicPartLostError when it is done, and a failover has lost the part of a shard
   * @example
   * ```ts
   * await atomic.write([from, to], async ([source, target]) => {
   *   await source.query('update accounts set balance = balance - $2 where id = $1', [payer, 10]);
   *   await target.query('update accounts set balance = balance + $2 where id = $1', [payee, 10]);
   * });
   * ```
   */
  async write<T, const Shards extends readonly number[]>(
    shards: Shards,
    fn: (cursors: { readonly [Place in keyof Shards]: Cursor }) => Promise<T>,
    { signal }: AtomicWriteOptions = {},
  ): Promise<T> {
    this.#assertShards(shards);
    const until = performance.now() + this.#options.retryForMs;
    const backoff = new Backoff({ baseMs: 10, maxMs: 500 });
    for (;;) {
      const { epoch } = this.#db.map;
      if (this.#stop.signal.aborted) throw new ClosedError('atomic writes are closed');
      try {
        return await new Attempt(this.#db, shards, fn as AtomicWork<T>, { ...this.#options, signal }).run((use) =>
          this.#lent(shards, signal, use),
        );
      } catch (error) {
        if (performance.now() > until || !(await this.#mayGoWell(error, epoch, signal))) throw error;
        await sleep(backoff.next(), { signal, what: 'an atomic write that is tried again' });
      }
    }
  }

  /**
   * Ends what writers have left prepared that were killed or cut off; done by itself every `recoverEveryMs`.
   *
   * @param options.afterMs - only parts of this age. @default recoverAfterMs
   */
  recover({
    afterMs = this.#options.recoverAfterMs,
    signal = this.#stop.signal,
  }: {
    afterMs?: number;
    signal?: AbortSignal | undefined;
  } = {}): Promise<InDoubt[]> {
    const before = this.#recovering ?? Promise.resolve();
    const now = before
      .then(() => recover(this.#db, { afterMs, signal }))
      .then((parts) => {
        if (parts.length > 0) this.#options.onRecovery?.(parts);
        return parts;
      });
    const over = now.then(
      () => {},
      () => {},
    );
    this.#recovering = over;
    void over.then(() => {
      if (this.#recovering === over) this.#recovering = undefined;
    });
    return now;
  }

  /**
   * Removes decisions that writers left who died after their last part had ended: small rows that say the truth and
   * are in nobody's way. Looks once into every shard; run it now and then.
   *
   * @param options.afterMs - only those of this age. @default 3600000
   * @returns how many
   */
  sweep({ afterMs = 3_600_000, signal }: { afterMs?: number; signal?: AbortSignal | undefined } = {}): Promise<number> {
    return sweep(this.#db, { afterMs, signal });
  }

  /** Looks for what others left no more; writes in hand are waited for by the Datastore's own `disconnect`. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#recovering;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether another try may go well after an error that left nothing behind. */
  async #mayGoWell(error: unknown, epoch: bigint, signal: AbortSignal | undefined): Promise<boolean> {
    const state = sqlStateOf(error);
    if (AGAIN.has(state) || error instanceof AtomicWriteUndoneError) return true;
    if (!MOVED.has(state)) return false;
    const grown = (await this.#db.refreshMap({ signal })).epoch > epoch;
    // The fence stands before the map is published.
    return grown || (state === SV.shardMoved && epoch > 0n);
  }

  async #lent(
    shards: readonly number[],
    signal: AbortSignal | undefined,
    use: (cursors: readonly Cursor[]) => Promise<void>,
  ): Promise<void> {
    const cursors: Cursor[] = [];
    try {
      const turn = this.#lending.then(async () => {
        for (const shardId of shards) cursors.push(await this.#db.getConnection(shardId, { signal }));
      });
      this.#lending = turn.catch(() => {});
      await turn;
      await use(cursors);
    } finally {
      for (const cursor of cursors) await this.#db.putConnection(cursor);
    }
  }

  #assertShards(shards: readonly number[]): void {
    if (!Array.isArray(shards) || shards.length < 2 || shards.length > MAX_SHARDS) {
      throw new InvalidArgumentError(
        `an atomic write takes 2 to ${MAX_SHARDS} shards; for one there is db.transaction()`,
      );
    }
    for (const shardId of shards) this.#db.map.serverOf(shardId);
    if (new Set(shards).size !== shards.length) {
      throw new InvalidArgumentError(`an atomic write names each shard once, not ${shards.join(', ')}`);
    }
  }
}

/**
 * Makes atomic writes over several shards possible, and ends what writers have left that died. The module `cluster` must be
 * installed in the shards, and every server needs `max_prepared_transactions`.
 *
 * @throws ConfigurationError naming the server that is not ready and what to do
 * @example
 * ```ts
 * await using atomic = await atomicWrites(db);
 * ```
 */
export async function atomicWrites(db: Datastore, options?: AtomicOptions): Promise<AtomicWrites> {
  const resolved = resolveAtomicOptions(options);
  await assertReady(db);
  const atomic = new AtomicWrites(db, resolved);
  await atomic.recover();
  return atomic;
}
