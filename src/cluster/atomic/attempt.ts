import { randomUUID } from 'node:crypto';
import type { Cursor, Datastore } from '../../core/index.ts';
import { InvalidArgumentError, OutcomeUnknownError } from '../../errors.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { AtomicPartLostError, AtomicWriteUndoneError } from '../errors.ts';
import {
  askDecision,
  forgetDecision,
  type PartPlace,
  removeDecision,
  strikeParts,
  TIMELINE,
  writeDecision,
} from './decision.ts';
import { endPart } from './end-part.ts';
import type { AtomicStep, ResolvedAtomicOptions } from './options.ts';
import { partName } from './part-name.ts';

/** What the caller does inside the transactions. */
export type AtomicWork<T> = (cursors: readonly Cursor[]) => Promise<T>;

interface AttemptOptions extends ResolvedAtomicOptions {
  readonly signal: AbortSignal | undefined;
}

/** One try to make an atomic write, from the first BEGIN to the last part's end; see {@link AtomicWrites}. */
export class Attempt<T> {
  readonly id = randomUUID();
  readonly coordinator: number;
  readonly #others: readonly number[];
  readonly #db: Datastore;
  readonly #work: AtomicWork<T>;
  readonly #options: AttemptOptions;
  /** Shards whose part is prepared, or may be. */
  readonly #prepared: number[] = [];
  /** COMMIT of the coordinator is next, or was sent: from here on only the decision tells. */
  #deciding = false;
  #result: T | undefined;

  constructor(db: Datastore, shards: readonly number[], work: AtomicWork<T>, options: AttemptOptions) {
    [this.coordinator, ...this.#others] = shards as [number, ...number[]];
    this.#db = db;
    this.#work = work;
    this.#options = options;
  }

  /** @param lend - lends a cursor for each shard, in their order, for the length of a callback */
  async run(lend: (use: (cursors: readonly Cursor[]) => Promise<void>) => Promise<void>): Promise<T> {
    try {
      await lend((cursors) => this.#transactions(cursors));
    } catch (error) {
      await this.#afterFailure(error);
    }
    await this.#finish();
    return this.#result as T;
  }

  /** The coordinator's transaction around those of the others, each of which is prepared when its inner ones are. */
  async #transactions(cursors: readonly Cursor[]): Promise<void> {
    const { signal } = this.#options;
    const [first] = cursors as [Cursor];
    const places = new Map<number, PartPlace>();
    const inner = async (place: number): Promise<void> => {
      const cursor = cursors[place];
      if (cursor === undefined) {
        await writeDecision(first, this.id, places);
        await this.#step('begun', this.coordinator);
        this.#result = await this.#work(cursors);
        await this.#step('worked', this.coordinator);
        return;
      }
      const { shardId } = cursor;
      await cursor.prepared(this.#partOf(shardId), async () => {
        places.set(shardId, await this.#enter(cursor));
        await inner(place + 1);
        throwIfAborted(signal, 'an atomic write');
        this.#prepared.push(shardId);
      });
      await this.#step('prepared', shardId);
    };
    await first.transaction(async () => {
      await this.#enter(first);
      await inner(1);
      const client = await first.rawClient();
      if (client.getTransactionStatus() === 'I') {
        throw new InvalidArgumentError('an atomic write may not end its transactions itself');
      }
      await this.#step('deciding', this.coordinator);
      throwIfAborted(signal, 'an atomic write');
      this.#deciding = true;
    });
  }

  async #enter(cursor: Cursor): Promise<PartPlace> {
    const { lockTimeoutMs, idleTimeoutMs } = this.#options;
    const { rows } = await cursor.query<{ timeline: number }>(
      `select hypervault.atomic_enter($1, $2, $3, $4), ${TIMELINE} as timeline`,
      [cursor.schema, cursor.shardId, lockTimeoutMs, idleTimeoutMs],
    );
    return { server: this.#db.map.serverOf(cursor.shardId).name, timeline: rows[0]!.timeline };
  }

  /** Returns when the write is done all the same; else undoes what may be prepared, and throws. */
  async #afterFailure(error: unknown): Promise<void> {
    let failure = error;
    if (this.#deciding) {
      const decision = await askDecision(this.#db, this).catch(() => 'open' as const);
      if (decision === 'done') return;
      if (decision === 'open') {
        throw new OutcomeUnknownError(
          `the coordinator of an atomic write (shard ${this.coordinator}) was lost while it was decided; recovery ends it, on all shards alike`,
          { cause: error },
        );
      }
    }
    // Not what the work did is unknown, but a PREPARE or the COMMIT; and the write is undone for certain.
    if (error instanceof OutcomeUnknownError && (this.#deciding || this.#prepared.length > 0)) {
      failure = new AtomicWriteUndoneError(error);
    }
    // What can't be undone now is left to recovery: nobody will ever find a decision.
    await Promise.allSettled(
      this.#prepared.map((shardId) => endPart(this.#db, shardId, 'rollback', this.#partOf(shardId))),
    );
    throw failure;
  }

  /** It is decided: nothing from here on may fail the caller, but that a part is lost for good. */
  async #finish(): Promise<void> {
    await this.#step('decided', this.coordinator);
    const ends = await Promise.allSettled(
      this.#others.map(async (shardId) => {
        const ended = await endPart(this.#db, shardId, 'commit', this.#partOf(shardId));
        await this.#step('committed', shardId);
        return ended;
      }),
    );
    await this.#step('finished', this.coordinator);
    const byUs = this.#others.filter((_, place) => {
      const end = ends[place]!;
      return end.status === 'fulfilled' && end.value;
    });
    if (byUs.length === this.#others.length) return removeDecision(this.#db, this).catch(() => {});
    if (byUs.length > 0) await strikeParts(this.#db, this, byUs).catch(() => {});
    if (ends.some(({ status }) => status === 'rejected')) return;
    // A part that was not there any more was ended by a recovery, or has been lost in a failover.
    const left = await forgetDecision(this.#db, this).catch(() => undefined);
    if (left !== undefined && left.lost.length > 0) throw new AtomicPartLostError(this.id, this.coordinator, left.lost);
  }

  #partOf(shardId: number): string {
    return partName({ id: this.id, coordinator: this.coordinator, shardId });
  }

  async #step(step: AtomicStep, shardId: number): Promise<void> {
    await this.#options.onStep?.(step, shardId);
  }
}
